import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.http11 import Request, Response

from vendetta.client import Client
from vendetta.client.channels import Output, open_port, open_process
from vendetta.client.http import Http
from vendetta.errors import ConnectFailed, ConnectionLost, ServerUnavailable, UnexpectedReply, WorkspaceNotFound
from vendetta.models import Problem


@asynccontextmanager
async def serving(
    socket: Path, handler: Callable[[ServerConnection], Awaitable[None]], refuse: WorkspaceNotFound | None = None
) -> AsyncIterator[Http]:
    def check(connection: ServerConnection, request: Request) -> Response | None:
        if refuse is None:
            return None
        response = connection.respond(404, msgspec.json.encode(Problem.from_error(refuse, status=404)).decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/problem+json"
        return response

    async with unix_serve(handler, str(socket), process_request=check):
        yield Client.at(f"unix://{socket}", token="t").http


async def test_a_process_streams_both_ways(tmp_path: Path) -> None:
    got: list[object] = []

    async def echo(socket: ServerConnection) -> None:
        got.append(json.loads(await socket.recv()))
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send(b"\1" + message)
                await socket.send(b"\2err")
                continue
            got.append(json.loads(message))
            if got[-1] == {"eof": True}:
                await socket.send('{"exit_status": 7}')
                return

    async with serving(tmp_path / "s", echo) as http, open_process(http, "/nodes/n/exec", {"argv": ["cat"]}) as process:
        await process.write(b"hi")
        await process.resize(100, 40)
        await process.signal("INT")
        await process.write_eof()
        outputs = [output async for output in process.outputs()]
    assert outputs == [Output("stdout", b"hi"), Output("stderr", b"err")]
    assert process.exit_status == 7
    assert got == [{"argv": ["cat"]}, {"resize": {"columns": 100, "rows": 40}}, {"signal": "INT"}, {"eof": True}]


async def test_a_problem_ends_it_as_its_error(tmp_path: Path) -> None:
    async def fail(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"problem": {"type": "", "title": "", "detail": "no", "code": "workspace_not_found"}}')

    async with serving(tmp_path / "s", fail) as http, open_process(http, "/workspaces/x/exec", {}) as process:
        with pytest.raises(WorkspaceNotFound, match="no"):
            async for _ in process.outputs():
                pass


async def test_an_end_without_a_status_is_a_lost_connection(tmp_path: Path) -> None:
    async def vanish(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async with serving(tmp_path / "s", vanish) as http, open_process(http, "/nodes/n/exec", {}) as process:
        with pytest.raises(ConnectionLost):
            async for _ in process.outputs():
                pass
        with pytest.raises(ConnectionLost):
            await process.write(b"x")


async def test_a_refusal_before_the_stream_is_its_error(tmp_path: Path) -> None:
    async def never(socket: ServerConnection) -> None: ...

    async with serving(tmp_path / "s", never, WorkspaceNotFound("no workspace x")) as http:
        with pytest.raises(WorkspaceNotFound):
            async with open_process(http, "/workspaces/x/exec", {}):
                pass


async def test_a_port_opens_and_half_closes(tmp_path: Path) -> None:
    async def upper(socket: ServerConnection) -> None:
        await socket.send('{"open":true}')
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send(message.upper())
            else:
                await socket.send('{"eof":true}')

    async with serving(tmp_path / "s", upper) as http, open_port(http, "web", 80) as port:
        await port.write(b"abc")
        await port.write_eof()
        assert [piece async for piece in port.pieces()] == [b"ABC"]


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ('{"problem":{"type":"","title":"","detail":"nothing listens","code":"connect_failed"}}', ConnectFailed),
        ("{}", UnexpectedReply),
        (None, ConnectionLost),
    ],
)
async def test_a_port_that_does_not_open_says_why(tmp_path: Path, first: str | None, error: type[Exception]) -> None:
    async def refuse(socket: ServerConnection) -> None:
        if first:
            await socket.send(first)

    async with serving(tmp_path / "s", refuse) as http:
        with pytest.raises(error):
            async with open_port(http, "web", 80):
                pass


async def test_no_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable):
        async with asyncio.timeout(10), open_process(Client.at(f"unix://{tmp_path}/s").http, "/nodes/n/exec", {}):
            pass
