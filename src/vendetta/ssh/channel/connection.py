"""One connection to one node: the transport that providers get, made of an asyncssh connection.

Sessions (processes) are counted, because sshd refuses more than `MaxSessions`; forwarded sockets and ports are
free. The argv of a process is quoted here and nowhere else.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import asyncssh

from vendetta.errors import VendettaError
from vendetta.models import HostKey
from vendetta.ssh.failures import lost, using
from vendetta.ssh.quoting import quote_command
from vendetta.transport import CommandResult, Terminal

from .abilities import Abilities
from .forwarding import PACKET_BYTES, WINDOW_BYTES, Forwarding
from .guest_login import GuestLogin
from .http_connector import ChannelConnector
from .process import ChannelProcess, exit_status, hang_up
from .relay import Relay, Sudo
from .sessions import Sessions
from .silence import SilenceMeter
from .streams import ChannelStream

PING_SECONDS = 15.0
DIAGNOSIS_SECONDS = 5.0
CLOSE_SECONDS = 5.0
FEW_SESSIONS = 2


class Ending(Protocol):
    """What knows when and how a connection ended, and how it logged in."""

    error: Exception | None
    method: str
    key: str | None

    def on_end(self, ending: Callable[[], None]) -> None: ...


class Connection:
    """A connection to a node. `direct` is that of `SilenceMeter`. `sudo` is None if it may not be used."""

    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        host_key: HostKey,
        ending: Ending,
        *,
        direct: bool = False,
        sudo: Sudo | None = None,
    ) -> None:
        self._node = node
        self._connection = connection
        self.host_key = host_key
        self._ending = ending
        self._pulse = SilenceMeter(connection, direct=direct)
        self._sessions = Sessions()
        relay = Relay(node, connection, self._sessions, sudo)
        self._reach = Forwarding(node, connection, relay, self._diagnose, self._count_sessions)
        self._connectors: dict[str, ChannelConnector] = {}
        ending.on_end(self._sessions.end)

    @property
    def node(self) -> str:
        return self._node

    @property
    def user(self) -> str:
        return str(self._connection.get_extra_info("username"))

    @property
    def login_method(self) -> str:
        """The SSH name of how it logged in: `publickey`, `password`, `keyboard-interactive`, `none`."""
        return self._ending.method

    @property
    def login_key(self) -> str | None:
        """Type, fingerprint and comment of the key that it logged in with; None if it was not by a key."""
        return self._ending.key

    @property
    def server_version(self) -> str:
        """How sshd names itself: `SSH-2.0-OpenSSH_9.2`."""
        return str(self._connection.get_extra_info("server_version"))

    @property
    def abilities(self) -> Abilities:
        """What asks sshd for what it allows."""
        return Abilities(self._node, self._connection, self._sessions)

    @property
    def spares_sessions(self) -> bool:
        """Whether no session can be held for long: sockets take some, and sshd grants hardly any."""
        return self._reach.carries and self._sessions.limit <= FEW_SESSIONS

    @property
    def error(self) -> VendettaError | None:
        """Why the connection ended; None if it stands or we closed it."""
        return lost(self._node, "keep the connection") if self.closed and self._ending.error else None

    @property
    def closed(self) -> bool:
        return bool(self._connection.is_closed())

    @property
    def unanswered(self) -> int:
        """`SilenceMeter.unanswered`."""
        return self._pulse.unanswered

    @property
    def silent_seconds(self) -> float:
        """`SilenceMeter.silent_seconds`."""
        return self._pulse.silent_seconds

    async def wait_closed(self) -> None:
        """Wait for the end of the connection, however it comes; `error` says whether it was lost."""
        await self._connection.wait_closed()

    async def close(self) -> None:
        """Close the connection, waiting at most `CLOSE_SECONDS` for a link that has stalled. Twice is no error."""
        self._connection.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.wait_closed()
        except TimeoutError:
            self._connection.abort()
        # not before: they wait for their channels to close, which takes an answer from the node
        for connector in self._connectors.values():
            await connector.close()

    async def ping(self, timeout_seconds: float = PING_SECONDS) -> float:
        """Return the seconds of one round trip. Raises `LinkTimeout`, `ConnectionLost`."""
        started = time.monotonic()
        with using(self._node, "ping"):
            async with asyncio.timeout(timeout_seconds):
                # sshd answers a request that it doesn't know, which is all that is wanted
                await self._connection._make_global_request(b"keepalive@openssh.com")  # noqa: SLF001
        if self.closed:
            raise lost(self._node, "ping")
        return time.monotonic() - started

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        what = f"run {argv[0]}"
        with using(self._node, what, timeout_seconds):
            async with asyncio.timeout(timeout_seconds), self._sessions.slot():
                process = await self._create(argv, None)
                try:
                    # asyncssh itself ends the input only where there is some
                    if input:
                        process.stdin.write(input)
                    process.stdin.write_eof()
                    stdout, stderr = await process.communicate()
                finally:
                    hang_up(process, "KILL")
        status = exit_status(process)
        if status is None:
            raise lost(self._node, what)
        return CommandResult(status, bytes(stdout or b""), bytes(stderr or b""))

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> ChannelProcess:
        with using(self._node, "open a session"):
            await self._sessions.acquire()
            try:
                process = await self._create(with_env(argv, env), terminal)
            except BaseException:
                self._sessions.release()
                raise
        return ChannelProcess(self._node, process, terminal, self._sessions.release, signals=self.user != "root")

    async def open_unix(self, path: str) -> ChannelStream:
        return await self._reach.open_unix(path)

    async def open_unix_session(self, path: str, factory: "Callable[[], asyncssh.SSHUNIXSession[bytes]]") -> bool:
        """Open a channel to a unix socket whose bytes go to a session of the caller's. Raises what `open_unix` raises.

        Returns whether the channel takes one of the sessions, of which there are few.
        """
        await self._reach.open_unix_session(path, factory)
        return self._reach.is_carried(path)

    async def open_tcp(self, host: str, port: int) -> ChannelStream:
        return await self._reach.open_tcp(host, port)

    async def login(self, host: str, port: int, *, user: str, private_key: str, host_key: str) -> "Connection":
        """Log in to a machine through this connection, with which the new one ends.

        Raises what `Transport.login` raises.
        """
        visit = GuestLogin(self._node, host, port, user=user, private_key=private_key, host_key=host_key)
        raw = await visit.log_in(self._reach, self._connection)
        return Connection(self._node, raw, visit.shown, visit)

    def http(self, socket_path: str) -> ChannelConnector:
        if socket_path not in self._connectors:
            self._connectors[socket_path] = ChannelConnector(partial(self.open_unix_session, socket_path))
        return self._connectors[socket_path]

    async def _create(self, argv: Sequence[str], terminal: Terminal | None) -> "asyncssh.SSHClientProcess[bytes]":
        async def ask() -> "asyncssh.SSHClientProcess[bytes]":
            return await self._connection.create_process(
                quote_command(argv) or None,
                encoding=None,
                term_type=terminal.type if terminal else None,
                term_size=(terminal.columns, terminal.rows) if terminal else None,
                window=WINDOW_BYTES,
                max_pktsize=PACKET_BYTES,
            )

        return await self._sessions.open(ask)

    async def _count_sessions(self) -> None:
        self._sessions.lower(await self.abilities.count_sessions())

    async def _diagnose(self, argv: Sequence[str]) -> CommandResult:
        return await self.run(argv, timeout_seconds=DIAGNOSIS_SECONDS)


def with_env(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """Return an argv that sets the variables by `env`: sshd accepts none unless it is configured to."""
    if not env:
        return list(argv)
    shell = ["sh", "-c", 'exec "${SHELL:-sh}" -l']
    return ["env", *(f"{name}={value}" for name, value in env.items()), *(argv or shell)]
