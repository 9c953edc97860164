"""The transport without a link: this machine is the node, and its TCP is that of the engine's own network."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from aiohttp import BaseConnector, UnixConnector

from vendetta.errors import ConnectFailed, EngineForbidden, EngineUnavailable, LinkTimeout, Unsupported
from vendetta.transport import CommandResult, Process, Stream, Terminal


class LocalStream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = 65536) -> bytes:
        return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return


class LocalTransport:
    def __init__(self, tcp_socket: Callable[[], socket.socket] = socket.socket) -> None:
        self._tcp_socket = tcp_socket
        self._connectors: dict[str, BaseConnector] = {}

    @property
    def node(self) -> str:
        return "local"

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if input is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(input), timeout_seconds)
        except TimeoutError as exc:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            raise LinkTimeout(f"{argv[0]} took too long") from exc
        status = process.returncode or 0
        return CommandResult(status if status >= 0 else 128 - status, stdout, stderr)

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> Process:
        raise Unsupported("no provider needs this here")

    async def open_unix(self, path: str) -> Stream:
        try:
            return LocalStream(*await asyncio.open_unix_connection(path))
        except PermissionError as exc:
            raise EngineForbidden(f"not allowed to open {path}") from exc
        except OSError as exc:
            raise EngineUnavailable(f"nobody listens on {path}") from exc

    async def open_tcp(self, host: str, port: int) -> Stream:
        sock = self._tcp_socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return LocalStream(*await asyncio.open_connection(sock=sock))
        except OSError as exc:
            sock.close()
            raise ConnectFailed(f"nothing listens on {host}:{port}") from exc

    def http(self, socket_path: str) -> BaseConnector:
        if socket_path not in self._connectors:
            self._connectors[socket_path] = UnixConnector(socket_path)
        return self._connectors[socket_path]

    async def close(self) -> None:
        for connector in self._connectors.values():
            await connector.close()
