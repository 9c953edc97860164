"""Streams both ways over WebSockets: a process on a node or in a workspace, and a TCP connection to a port.

asyncio, unlike the rest of the client, because both directions and the terminal's size run at once.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from vendetta.errors import ConnectionLost, UnexpectedReply
from vendetta.models import Problem

from .http import API, Http, build_path, problem_error, unavailable

_CHANNELS: Mapping[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class ExecFields(TypedDict, total=False):
    """What to run; an empty `argv` is the login shell."""

    argv: list[str]
    tty: bool
    columns: int
    rows: int
    terminal_type: str
    env: dict[str, str]
    cwd: str
    user: str


class Output(NamedTuple):
    """A piece of what a process wrote. With a terminal everything is `stdout`."""

    channel: Literal["stdout", "stderr"]
    data: bytes


class ProcessChannel:
    """A running process. `exit_status` is set once `outputs` has ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.exit_status: int | None = None

    async def outputs(self) -> AsyncIterator[Output]:
        """Yield its output as it arrives. Raises the error that ended it, where it was one."""
        async for message in _messages(self._socket):
            if isinstance(message, bytes):
                yield Output(_CHANNELS[message[0]], message[1:])
                continue
            self.exit_status = msgspec.convert(message.get("exit_status"), int)
            return
        if self.exit_status is None:
            raise ConnectionLost(
                "the connection to the server was lost; how the command ended is not known",
                hint="It may go on where it runs: look there before you run it again.",
            )

    async def write(self, data: bytes) -> None:
        await _send(self._socket, data)

    async def write_eof(self) -> None:
        await _send(self._socket, '{"eof":true}')

    async def resize(self, columns: int, rows: int) -> None:
        await self._send_message({"resize": {"columns": columns, "rows": rows}})

    async def signal(self, name: str) -> None:
        await self._send_message({"signal": name})

    async def leave(self) -> None:
        """Close the channel as if the process had ended with 0; its further output is dropped."""
        self.exit_status = 0
        await self._socket.close()

    async def _send_message(self, message: Mapping[str, object]) -> None:
        await _send(self._socket, msgspec.json.encode(message).decode())


class PortChannel:
    """A TCP connection to a port inside a workspace."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what arrives, until the other side sends its end."""
        async for message in _messages(self._socket):
            if not isinstance(message, bytes):
                return
            yield message

    async def write(self, data: bytes) -> None:
        await _send(self._socket, data)

    async def write_eof(self) -> None:
        await _send(self._socket, '{"eof":true}')


@asynccontextmanager
async def open_process(http: Http, path: str, request: ExecFields) -> AsyncIterator[ProcessChannel]:
    """Start a process; `path` is `/nodes/N/exec` or `/workspaces/W/exec`."""
    async with _open(http, path) as socket:
        await _send(socket, msgspec.json.encode(request).decode())
        yield ProcessChannel(socket)


@asynccontextmanager
async def open_port(http: Http, workspace: str, port: int) -> AsyncIterator[PortChannel]:
    """Connect to a port of a workspace; entered once it has accepted. Raises the server's error."""
    async with _open(http, build_path("workspaces", workspace, "ports", str(port))) as socket:
        async for message in _messages(socket):
            if isinstance(message, bytes) or not message.get("open"):
                raise UnexpectedReply("the server did not say whether the port is open")
            break
        else:
            raise ConnectionLost("the server closed the connection before the port was open")
        yield PortChannel(socket)


async def _send(socket: ClientConnection, message: bytes | str) -> None:
    try:
        await socket.send(message)
    except ConnectionClosed as exc:
        raise ConnectionLost("the connection to the server was lost") from exc


async def _messages(socket: ClientConnection) -> AsyncIterator[bytes | dict[str, Any]]:
    """Yield bytes as they are and text decoded. Raises the error of a problem."""
    try:
        async for message in socket:
            if isinstance(message, bytes):
                yield message
                continue
            decoded = msgspec.json.decode(message, type=dict[str, Any])
            if "problem" in decoded:
                raise msgspec.convert(decoded["problem"], Problem).to_error()
            yield decoded
    except ConnectionClosed as exc:
        raise ConnectionLost("the connection to the server was lost") from exc


@asynccontextmanager
async def _open(http: Http, path: str) -> AsyncIterator[ClientConnection]:
    address = http.address
    options: dict[str, Any] = {
        "compression": None,
        "max_size": None,
        "close_timeout": 2.0,
        # a slow reader of a terminal holds pongs back too: the kernel's keepalive distinguishes a dead link from it
        "ping_interval": None,
        "additional_headers": {"Authorization": f"Bearer {http.token}"} if http.token else None,
    }
    if address.is_unix:
        opening = unix_connect(address.path, f"ws://localhost{API}{path}", **options)
    else:
        scheme = "wss" if address.scheme == "https" else "ws"
        opening = connect(f"{scheme}://{address.authority}{API}{path}", proxy=None, **options)
    try:
        socket = await opening
    except InvalidStatus as exc:
        answer = exc.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise problem_error(answer.status_code, headers, bytes(answer.body or b"")) from exc
    except OSError as exc:
        raise unavailable(address, exc) from exc
    except InvalidHandshake as exc:
        raise UnexpectedReply(f"the server did not open a stream: {exc}") from exc
    async with socket:
        socket.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
        yield socket
