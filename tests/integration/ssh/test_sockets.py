"""What is relied on of aiohttp's private names: HTTP through a channel behaves as through a socket of this machine."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import EngineUnavailable
from vendetta.providers.docker.hijack import Hijacked
from vendetta.ssh.channel import Connection

BIG = 20 * 2**20


class Engine:
    """A server on a unix socket that does what engines do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.peers: set[object] = set()
        self.sent = 0

    async def ping(self, request: web.Request) -> web.Response:
        self.peers.add(request.transport)
        return web.Response(text="OK")

    async def count(self, request: web.Request) -> web.Response:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
        return web.Response(text=str(size))

    async def big(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(BIG // 2**16):
            await response.write(bytes(2**16))
            self.sent += 2**16
        return response

    async def broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket


@pytest.fixture
async def engine(sshd: Sshd) -> AsyncIterator[Engine]:
    engine = Engine(sshd.directory / "e.sock")
    app = web.Application(client_max_size=2 * BIG)
    app.add_routes(
        [
            web.get("/ping", engine.ping),
            web.post("/count", engine.count),
            web.get("/big", engine.big),
            web.get("/broken", engine.broken),
            web.get("/talk", engine.talk),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(engine.path)).start()
    yield engine
    await runner.cleanup()
    engine.path.unlink(missing_ok=True)


@pytest.fixture
async def http(connection: Connection, engine: Engine) -> AsyncIterator[aiohttp.ClientSession]:
    connector = connection.http(str(engine.path))
    async with aiohttp.ClientSession("http://engine", connector=connector, connector_owner=False) as session:
        yield session


async def test_a_connection_is_kept_alive(http: aiohttp.ClientSession, engine: Engine) -> None:
    for _ in range(5):
        async with http.get("/ping") as response:
            assert await response.text() == "OK"
    assert len(engine.peers) == 1


async def test_many_at_once(http: aiohttp.ClientSession, engine: Engine) -> None:
    async def ping() -> str:
        async with http.get("/ping") as response:
            return await response.text()

    assert await asyncio.gather(*(ping() for _ in range(40))) == ["OK"] * 40


async def test_bodies_in_pieces_go_up_and_come_down(http: aiohttp.ClientSession) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BIG // 2**18):
            yield bytes(2**18)

    async with http.post("/count", data=pieces()) as response:
        assert await response.text() == str(BIG)
    async with http.get("/big") as response:
        assert len(await response.read()) == BIG


async def test_a_reader_that_waits_holds_the_sender_back(http: aiohttp.ClientSession, engine: Engine) -> None:
    async with http.get("/big") as response:
        assert await response.content.readexactly(10)
        async with http.get("/ping") as other:
            assert await other.text() == "OK"
        rest = await response.read()
    assert len(rest) == BIG - 10


async def test_websockets(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("/talk") as socket:
        for size in (0, 1, 300_000):
            await socket.send_bytes(bytes(size))
            assert await socket.receive_bytes() == bytes(size)


async def test_an_upgraded_connection_takes_an_end_of_input(connection: Connection, sshd: Sshd) -> None:
    """What exec does: after 101 both sides speak raw, and one ends before the other."""
    path = sshd.directory / "raw.sock"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        writer.write(b"got " + await reader.read())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(serve, path):
        connector = connection.http(str(path))
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
            hijacked = Hijacked(await session.get("http://x/", headers={"Connection": "Upgrade", "Upgrade": "tcp"}))
            await hijacked.write(b"input")
            hijacked.write_eof()
            assert await hijacked.reader.read() == b"got input"
            hijacked.close()


async def test_a_server_that_breaks_off_is_an_error_of_aiohttp(http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        async with http.get("/broken") as response:
            await response.read()
    async with http.get("/ping") as response:
        assert response.status == 200


async def test_a_lost_link_is_an_error_of_aiohttp(make_sshd: MakeSshd, side: Side, engine: Engine) -> None:
    sshd = make_sshd()
    connection = await side.connector().open(endpoint(sshd, "other"), ACCEPT)
    connector = connection.http(str(engine.path))
    async with (
        aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
        session.get("http://x/big") as response,
    ):
        await response.content.readexactly(10)
        sshd.kill_sessions()
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    await connection.close()


async def test_an_absent_socket_is_told_as_it_is(connection: Connection) -> None:
    connector = connection.http("/nowhere.sock")
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
        with pytest.raises(EngineUnavailable):
            await session.get("http://x/")


async def test_it_is_shared_and_closed_with_the_link(connection: Connection, engine: Engine) -> None:
    connector = connection.http(str(engine.path))
    assert connection.http(str(engine.path)) is connector
    async with (
        aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
        session.get("http://x/ping") as response,
    ):
        assert response.status == 200
    assert not connector.closed
    await connection.close()
    assert connector.closed
    gc.collect()  # anything left open would warn now
