"""One connection to one node: the transport that providers get, made of an asyncssh connection.

Sessions (processes, SFTP) are counted, because sshd refuses more than `MaxSessions`; forwarded sockets and ports are
free. The argv of a process is quoted here and nowhere else.
"""

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import asyncssh
import stamina

from vendetta.errors import ConnectFailed, EngineForbidden, EngineUnavailable, LinkTimeout, VendettaError
from vendetta.models import HostKey
from vendetta.transport import CommandResult, OnBytes, Terminal

from .failures import lost, using
from .sockets import ChannelConnector
from .streams import ChannelProcess, ChannelStream, exit_status

SESSIONS = 10
"""How many sessions sshd allows on one connection unless told otherwise (MaxSessions)."""
WINDOW_BYTES = 16 * 2**20
PACKET_BYTES = 256 * 2**10
"""Windows this large carry several hundred MB/s where the defaults carry about a hundred."""
OPEN_SECONDS = 30.0
SESSION_SECONDS = 20.0
"""How long a session is asked for while sshd has none left."""
PING_SECONDS = 15.0


class Ending(Protocol):
    """Knows how a connection ended."""

    error: Exception | None


class Connection:
    def __init__(
        self, node: str, connection: asyncssh.SSHClientConnection, host_key: HostKey, ending: "Ending"
    ) -> None:
        self._node = node
        self._connection = connection
        self.host_key = host_key
        self._ending = ending
        self._sessions = asyncio.Semaphore(SESSIONS)
        self._connectors: dict[str, ChannelConnector] = {}

    @property
    def node(self) -> str:
        return self._node

    @property
    def user(self) -> str:
        return str(self._connection.get_extra_info("username"))

    @property
    def error(self) -> VendettaError | None:
        """Why it ended, where that was not our doing."""
        return lost(self._node, "keep the connection") if self.closed and self._ending.error else None

    @property
    def closed(self) -> bool:
        return bool(self._connection.is_closed())

    async def wait_closed(self) -> None:
        """Returns however it ended; `error` says whether it was lost."""
        await self._connection.wait_closed()

    async def close(self) -> None:
        for connector in self._connectors.values():
            await connector.close()
        self._connection.close()
        await self._connection.wait_closed()

    async def ping(self) -> float:
        """Seconds for one round trip. Raises `LinkTimeout`, `ConnectionLost`."""
        started = time.monotonic()
        with using(self._node, "ping"):
            async with asyncio.timeout(PING_SECONDS):
                # sshd answers a request that it doesn't know, which is all that is wanted
                await self._connection._make_global_request(b"keepalive@openssh.com")  # noqa: SLF001
        return time.monotonic() - started

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        what = f"run {argv[0]}"
        async with self._sessions:
            with using(self._node, what):
                process = await self._create(argv, None)
                try:
                    async with asyncio.timeout(timeout_seconds):
                        stdout, stderr = await process.communicate(input)
                        await process.wait_closed()
                except TimeoutError as exc:
                    raise LinkTimeout(
                        f"{what} on node {self._node}: not done after {timeout_seconds:g} s", node=self._node
                    ) from exc
                finally:
                    process.close()
            status = exit_status(process)
            if status is None:
                raise lost(self._node, what)
            return CommandResult(status, bytes(stdout or b""), bytes(stderr or b""))

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> ChannelProcess:
        await self._sessions.acquire()
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._sessions.release()

        try:
            with using(self._node, "open a session"):
                process = await self._create(with_env(argv, env), terminal)
        except BaseException:
            release()
            raise
        return ChannelProcess(self._node, process, terminal, release)

    async def open_unix(self, path: str) -> ChannelStream:
        what = f"use {path}"
        async with self._reaching(path):
            reader, writer = await self._connection.open_unix_connection(
                path, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
            )
        return ChannelStream(self._node, what, reader, writer)

    async def open_unix_session(self, path: str, factory: Callable[[], "asyncssh.SSHUNIXSession[bytes]"]) -> None:
        """A channel to a unix socket whose bytes go to a session of the caller's."""
        async with self._reaching(path):
            await self._connection.create_unix_connection(
                factory, path, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
            )

    async def open_tcp(self, host: str, port: int) -> ChannelStream:
        what = f"connect to port {port} of {host}"
        try:
            with using(self._node, what):
                async with asyncio.timeout(OPEN_SECONDS):
                    reader, writer = await self._connection.open_connection(
                        host, port, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
                    )
        except ConnectFailed as exc:
            exc.hint = f"Does something listen on port {port} there?"
            raise
        return ChannelStream(self._node, what, reader, writer)

    async def put(self, local: Path, remote: str, *, on_bytes: OnBytes | None = None) -> None:
        async with self._sftp(f"copy {local.name} to the node") as sftp:
            await sftp.put(
                str(local), remote, recurse=await asyncio.to_thread(local.is_dir), progress_handler=_progress(on_bytes)
            )

    async def get(self, remote: str, local: Path, *, on_bytes: OnBytes | None = None) -> None:
        async with self._sftp(f"copy {remote} from the node") as sftp:
            await sftp.get(remote, str(local), recurse=await sftp.isdir(remote), progress_handler=_progress(on_bytes))

    def http(self, socket_path: str) -> ChannelConnector:
        if socket_path not in self._connectors:
            self._connectors[socket_path] = ChannelConnector(self, socket_path)
        return self._connectors[socket_path]

    async def _create(self, argv: Sequence[str], terminal: Terminal | None) -> "asyncssh.SSHClientProcess[bytes]":
        """sshd counts a session until it has reaped the process, a moment after we see the end: it is asked again."""
        async for attempt in stamina.retry_context(
            on=_is_session_refused,
            timeout=SESSION_SECONDS,
            attempts=None,
            wait_initial=0.01,
            wait_max=0.5,
            wait_jitter=0.01,
        ):
            with attempt:
                process: asyncssh.SSHClientProcess[bytes] = await self._connection.create_process(
                    shlex.join(argv) or None,
                    encoding=None,
                    term_type=terminal.type if terminal else None,
                    term_size=(terminal.columns, terminal.rows) if terminal else None,
                    window=WINDOW_BYTES,
                    max_pktsize=PACKET_BYTES,
                )
        return process

    @asynccontextmanager
    async def _reaching(self, path: str) -> AsyncIterator[None]:
        try:
            with using(self._node, f"use {path}"):
                async with asyncio.timeout(OPEN_SECONDS):
                    yield
        except ConnectFailed as exc:
            raise await self._why_closed(path) from exc

    async def _why_closed(self, path: str) -> VendettaError:
        """sshd says "failed" to all of it, so that the node is asked what is the matter with the socket."""
        if (await self.run(["test", "-S", path])).exit_status:
            return EngineUnavailable(
                f"there is no {path} on node {self._node}",
                hint="Is the engine installed and running there?",
                node=self._node,
                path=path,
            )
        if (await self.run(["test", "-w", path])).exit_status:
            group = (await self.run(["stat", "-c", "%G", path])).stdout.decode(errors="replace").strip()
            return EngineForbidden(
                f"user {self.user} may not use {path} on node {self._node}",
                hint=f"Add the user to the socket's group, then connect again: sudo usermod -aG {group} {self.user}",
                node=self._node,
                path=path,
                group=group,
            )
        return EngineUnavailable(
            f"nobody answers at {path} on node {self._node}",
            hint="The socket is there, but no engine behind it: start the engine.",
            node=self._node,
            path=path,
        )

    @asynccontextmanager
    async def _sftp(self, what: str) -> AsyncIterator[asyncssh.SFTPClient]:
        async with self._sessions:
            with using(self._node, what):
                async with self._connection.start_sftp_client() as sftp:
                    yield sftp


def with_env(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """By `env`, because sshd accepts no variables unless it is configured to."""
    if not env:
        return list(argv)
    shell = ["sh", "-c", 'exec "${SHELL:-sh}" -l']
    return ["env", *(f"{name}={value}" for name, value in env.items()), *(argv or shell)]


def _is_session_refused(error: Exception) -> bool:
    """All that sshd says when `MaxSessions` are open."""
    return isinstance(error, asyncssh.ChannelOpenError) and error.code == asyncssh.OPEN_CONNECT_FAILED


def _progress(on_bytes: OnBytes | None) -> Callable[[bytes, bytes, int, int], None] | None:
    if on_bytes is None:
        return None
    return lambda source, target, done, total: on_bytes(done, total)
