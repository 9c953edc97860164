"""One connection to one node: the transport that providers get, made of an asyncssh connection.

Sessions (processes, SFTP) are counted, because sshd refuses more than `MaxSessions`; forwarded sockets and ports are
free. The argv of a process is quoted here and nowhere else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import asyncssh

from vendetta.errors import ConnectFailed, VendettaError
from vendetta.models import HostKey
from vendetta.transport import CommandResult, OnBytes, Terminal

from .diagnosis import DIAGNOSE, explain
from .failures import copying, lost, no_sftp, using
from .process import ChannelProcess, exit_status, hang_up
from .quoting import quote_command
from .sessions import Sessions, is_refused
from .sockets import ChannelConnector
from .streams import ChannelStream

WINDOW_BYTES = 16 * 2**20
PACKET_BYTES = 256 * 2**10
"""Windows this large carry several hundred MB/s where the defaults carry about a hundred."""
OPEN_SECONDS = 30.0
PING_SECONDS = 15.0
DIAGNOSIS_SECONDS = 5.0
CLOSE_SECONDS = 5.0


class Ending(Protocol):
    """Knows when and how a connection ended."""

    error: Exception | None

    def on_end(self, ending: Callable[[], None]) -> None: ...


class Connection:
    def __init__(self, node: str, connection: asyncssh.SSHClientConnection, host_key: HostKey, ending: Ending) -> None:
        self._node = node
        self._connection = connection
        self.host_key = host_key
        self._ending = ending
        self._sessions = Sessions()
        self._connectors: dict[str, ChannelConnector] = {}
        ending.on_end(self._sessions.end)

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
        """Again: nothing happens. A link that has stalled isn't waited for."""
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
        """Seconds for one round trip. Raises `LinkTimeout`, `ConnectionLost`."""
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
        async with self._reaching(path):
            reader, writer = await self._connection.open_unix_connection(
                path, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
            )
        return ChannelStream(self._node, f"use {path}", reader, writer)

    async def open_unix_session(self, path: str, factory: "Callable[[], asyncssh.SSHUNIXSession[bytes]]") -> None:
        """A channel to a unix socket whose bytes go to a session of the caller's. Raises as `open_unix` does."""
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
        """A file, or a folder with all that is in it. Raises `NotFound`, `Forbidden`, `OutOfResources`."""
        recurse = await asyncio.to_thread(local.is_dir)
        async with self._sftp(f"copy {local.name} to {remote}") as sftp:
            await sftp.put(str(local), remote, recurse=recurse, progress_handler=_progress(on_bytes))

    async def get(self, remote: str, local: Path, *, on_bytes: OnBytes | None = None) -> None:
        """As `put`, the other way."""
        async with self._sftp(f"copy {remote} to {local.name}") as sftp:
            recurse = await sftp.isdir(remote)
            await sftp.get(remote, str(local), recurse=recurse, progress_handler=_progress(on_bytes))

    def http(self, socket_path: str) -> ChannelConnector:
        if socket_path not in self._connectors:
            self._connectors[socket_path] = ChannelConnector(self, socket_path)
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

    @asynccontextmanager
    async def _reaching(self, path: str) -> AsyncIterator[None]:
        try:
            with using(self._node, f"use {path}"):
                async with asyncio.timeout(OPEN_SECONDS):
                    yield
        except ConnectFailed as exc:
            raise await self._why_closed(path) from exc

    async def _why_closed(self, path: str) -> VendettaError:
        """sshd says "failed" to all of it, so the node is asked what is the matter with the socket."""
        answer = ""
        with suppress(VendettaError):
            result = await self.run(["sh", "-c", DIAGNOSE, "sh", path], timeout_seconds=DIAGNOSIS_SECONDS)
            answer = result.stdout.decode(errors="replace")
        if self.closed:
            return lost(self._node, f"use {path}")
        return explain(answer, node=self._node, user=self.user, path=path)

    @asynccontextmanager
    async def _sftp(self, what: str) -> AsyncIterator[asyncssh.SFTPClient]:
        with using(self._node, what), copying(self._node, what):
            async with self._sessions.slot():
                try:
                    async with asyncio.timeout(OPEN_SECONDS):
                        sftp = await self._sessions.open(self._connection.start_sftp_client)
                except asyncssh.ChannelOpenError as exc:
                    if is_refused(exc):
                        raise
                    raise no_sftp(self._node, what) from exc
                async with sftp:
                    yield sftp


def with_env(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """By `env`, because sshd accepts no variables unless it is configured to."""
    if not env:
        return list(argv)
    shell = ["sh", "-c", 'exec "${SHELL:-sh}" -l']
    return ["env", *(f"{name}={value}" for name, value in env.items()), *(argv or shell)]


def _progress(on_bytes: OnBytes | None) -> Callable[[bytes, bytes, int, int], None] | None:
    if on_bytes is None:
        return None
    return lambda source, target, done, total: on_bytes(done, total)
