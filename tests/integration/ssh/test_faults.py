"""A link that stalls, dies without a word, or is hung up on, between a real sshd and us."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told, endpoint
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import ConnectionLost, LinkTimeout
from vendetta.ssh.login.handshake import DROPPED_TRIES
from vendetta.ssh.pool import Capacity, Pool
from vendetta.ssh.pool import pool as pool_module


class Wire:
    """Carries bytes to an sshd. `stalled`: they wait. `drop`: so many connections are hung up on at once."""

    def __init__(self, port: int) -> None:
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.drop = 0
        self.connections = 0
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Wire":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections <= self.drop:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(2**16):
                await self.flowing.wait()
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


@pytest.fixture
async def wire(sshd: Sshd) -> AsyncIterator[Wire]:
    async with Wire(sshd.port) as wire:
        yield wire


async def test_a_login_that_is_hung_up_on_is_tried_again(sshd: Sshd, side: Side, wire: Wire) -> None:
    wire.drop = DROPPED_TRIES - 2
    await (await side.connector().open(endpoint(sshd, port=wire.port), ACCEPT)).close()
    assert wire.connections == wire.drop + 1


async def test_a_stall_is_ridden_out(sshd: Sshd, side: Side, wire: Wire) -> None:
    connection = await side.connector().open(endpoint(sshd, port=wire.port), ACCEPT)
    wire.flowing.clear()
    running = asyncio.create_task(connection.run(["echo", "hello"]))
    with pytest.raises(LinkTimeout, match="ping"):
        await connection.ping(0.2)
    wire.flowing.set()
    assert (await running).stdout == b"hello\n"
    assert await connection.ping() < 15
    await connection.close()


async def test_a_dead_link_is_noticed(sshd: Sshd, side: Side, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendetta.ssh.login.connector.STALL_SECONDS", 0.2)
    connection = await side.connector(keepalive_seconds=0.1).open(endpoint(sshd, port=wire.port), ACCEPT)
    running = asyncio.create_task(connection.run(["sleep", "100"]))
    wire.flowing.clear()
    with pytest.raises(ConnectionLost):
        await running
    assert isinstance(connection.error, ConnectionLost)
    await connection.close()


async def test_one_that_died_without_a_word_is_replaced_unnoticed(
    sshd: Sshd, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(pool_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr("vendetta.ssh.channel.connection.CLOSE_SECONDS", 0.2)
    async with Wire(sshd.port) as dying, Pool(side.connector(), Told(), Capacity(100)) as pool:
        first = await pool.connect(endpoint(sshd, port=dying.port), ACCEPT)
        dying.flowing.clear()
        async with pool.lease(endpoint(sshd)) as second:
            assert second is not first
            assert (await second.run(["echo", "hello"])).stdout == b"hello\n"
        await first.wait_closed()


async def test_a_restarted_sshd(make_sshd: MakeSshd, side: Side) -> None:
    sshd, told = make_sshd(), Told()
    async with Pool(side.connector(), told, Capacity(100)) as pool:
        first = await pool.connect(endpoint(sshd), ACCEPT)
        sshd.stop()
        await first.wait_closed()
        sshd.start()
        async with pool.lease(endpoint(sshd)) as second:
            assert (await second.run(["true"])).exit_status == 0
    assert told.heard == [
        (said, "n") for said in ("connecting", "connected", "lost", "connecting", "connected", "closed")
    ]
