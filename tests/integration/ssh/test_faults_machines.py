"""What happens to machines and to the cables between them: nothing hangs, and everything comes back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, Side, Told, endpoint_of
from tests.testbed import Node

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import ExecRequest, NodeRequest
from vendetta.errors import ConnectionLost, LinkError, LinkTimeout
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.pool import Capacity, Pool
from vendetta.ssh.pool import pool as pool_module

pytestmark = pytest.mark.root

PATIENCE_SECONDS = 90


@pytest.fixture
def node(make_node: NodeFactory) -> Node:
    return make_node()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link is given up after two seconds of silence instead of eighty."""
    monkeypatch.setattr("vendetta.ssh.login.connector.STALL_SECONDS", 1.5)
    monkeypatch.setattr("vendetta.ssh.channel.connection.CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(pool_module, "CHECK_SECONDS", 1.0)
    monkeypatch.setattr(pool_module, "FRESH_SECONDS", 0.0)


@pytest.fixture
async def pool(side: Side, impatient: None) -> AsyncIterator[Pool]:
    connector = side.connector(keepalive_seconds=0.5, connection_timeout_seconds=3)
    async with Pool(connector, Told(), Capacity(100), drain_seconds=0) as pool:
        yield pool


@pytest.fixture
async def services(tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    config = ServerConfig(
        state_file=str(tmp_path / "state.db"), keepalive_interval=0.5, connection_timeout=2, node_timeout=1
    )
    async with running_services(paths, config) as services:
        yield services


async def add(services: Services, node: Node) -> None:
    request = NodeRequest(name="gpu", address=f"{node.user}@{node.address}", identity=str(node.key))
    await services.node_adding.add(request, ACCEPT, actor="test")


async def wait_for(services: Services, kind: str, *, after: int = 0) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in services.events.watch(after):
            if event.kind == kind:
                return event.sequence
    raise AssertionError("the stream of events ended")


async def test_a_cable_that_is_out_for_five_seconds_is_not_noticed(side: Side, node: Node) -> None:
    connection = await side.connector().open(endpoint_of(node), ACCEPT)
    process = await connection.open_process(["cat"])
    node.cut()
    await process.write(b"said while it was out\n")
    await asyncio.sleep(5)
    node.mend()
    output = await process.read()
    assert output is not None
    assert output.data == b"said while it was out\n"
    await process.close()
    await connection.close()


async def test_a_cable_that_is_out_for_long_opens_the_breaker_until_somebody_asks(
    services: Services, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after ten minutes: the node is offline, and would be tried again only much later."""
    await add(services, node)
    assert (await services.nodes.get("gpu")).breaker is not None
    node.cut()
    seen = await wait_for(services, "node.offline")
    monkeypatch.setattr("vendetta.ssh.breaker.build_pause", lambda failures, chance: 3600.0)
    await services.node_links.disconnect("gpu", "test")
    with pytest.raises(LinkError):  # no answer, or no way, once nobody knows its hardware address any more
        await services.node_links.connect("gpu", ACCEPT)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await services.figures()).breakers != {"open": 1}:  # who watches it tries it too
            await asyncio.sleep(0.05)
    shown = await services.nodes.get("gpu")
    assert shown.breaker is not None
    assert shown.breaker.error is not None
    assert shown.breaker.next_try is not None
    node.mend()
    async with services.node_processes.open("gpu", ExecRequest(argv=["true"])) as process:
        assert await process.wait() == 0
    await wait_for(services, "node.connected", after=seen)
    shown = await services.nodes.get("gpu")
    assert shown.status == "connected"
    assert shown.breaker is not None
    assert (shown.breaker.state, shown.breaker.failures) == ("closed", 0)


async def test_a_cable_that_is_back_is_found_without_being_asked(services: Services, node: Node) -> None:
    await add(services, node)
    node.cut()
    offline = await wait_for(services, "node.offline")
    node.mend()
    await wait_for(services, "node.connected", after=offline)


async def test_a_far_link_that_loses_packets_works(services: Services, node: Node, side: Side) -> None:
    """200 ms each way, and every twentieth packet lost."""
    node.delay(200, loss=0.05)
    connection = await side.connector(connection_timeout_seconds=60).open(endpoint_of(node), ACCEPT)
    results = await asyncio.gather(*(connection.run(["echo", str(number)]) for number in range(10)))
    assert [result.stdout for result in results] == [b"%d\n" % number for number in range(10)]
    assert (await connection.run(["cat"], input=bytes(100_000))).stdout == bytes(100_000)
    assert await connection.ping() >= 0.4
    await connection.close()


async def test_a_node_killed_in_the_middle_of_a_command(node: Node, pool: Pool) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await pool.connect(endpoint_of(node), ACCEPT)
        async with pool.lease(endpoint_of(node)) as connection:
            running = asyncio.create_task(connection.run(["sleep", "1000"], timeout_seconds=1000))
            process = await connection.open_process(["cat"])
            node.kill()
            with pytest.raises(ConnectionLost):
                await running
            with pytest.raises(ConnectionLost):
                await process.read()
            await process.close()
        with pytest.raises(LinkError):
            await pool.connect(endpoint_of(node))
        node.boot()
        async with pool.lease(endpoint_of(node)) as connection:
            assert (await connection.run(["echo", "back"])).stdout == b"back\n"


async def test_sshd_restarted_under_load_loses_nothing_that_is_open(node: Node, pool: Pool) -> None:
    await pool.connect(endpoint_of(node), ACCEPT)
    restarted = asyncio.Event()

    async def work() -> int:
        done = 0
        while not restarted.is_set() or done < 10:
            async with pool.lease(endpoint_of(node)) as connection:
                assert (await connection.run(["echo", "hello"])).stdout == b"hello\n"
            done += 1
        return done

    workers = [asyncio.create_task(work()) for _ in range(10)]
    await asyncio.to_thread(node.restart_sshd)
    restarted.set()
    assert all(done >= 10 for done in await asyncio.gather(*workers))


async def test_sshd_killed_with_all_of_its_sessions_under_load(node: Node, pool: Pool) -> None:
    """Who was served then learns it; whoever asks after that is served again, by one new login."""
    await pool.connect(endpoint_of(node), ACCEPT)
    restarted = asyncio.Event()

    async def work() -> int:
        lost = done_after = 0
        while done_after < 5:
            back = restarted.is_set()
            try:
                async with pool.lease(endpoint_of(node)) as connection:
                    await connection.run(["echo", "hello"])
                done_after += back
            except LinkError:
                lost += 1
                await asyncio.sleep(0.01)
        return lost

    def restart() -> None:
        node.run(["pkill", "-KILL", "sshd"])
        node.restart_sshd()

    workers = [asyncio.create_task(work()) for _ in range(10)]
    await asyncio.to_thread(restart)
    restarted.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert sum(await asyncio.gather(*workers)) > 0
    assert node.logins() <= 3


async def test_a_peer_that_vanished_without_a_word_is_noticed_and_replaced(node: Node, pool: Pool) -> None:
    """Half open: rebooted while nobody talked to it, so that it never said that the connection has ended."""
    first = await pool.connect(endpoint_of(node), ACCEPT)
    node.kill()
    node.boot()
    async with asyncio.timeout(PATIENCE_SECONDS), pool.lease(endpoint_of(node)) as second:
        assert second is not first
        assert (await second.run(["echo", "hello"])).stdout == b"hello\n"


async def test_a_peer_that_is_silent_for_good_is_given_up(node: Node, pool: Pool) -> None:
    """The kernel there still answers, and sshd never will."""
    connection = await pool.connect(endpoint_of(node), ACCEPT)
    node.freeze()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(LinkError):
                await connection.run(["true"])
            await connection.wait_closed()
            assert isinstance(connection.error, ConnectionLost)
            with pytest.raises(LinkTimeout):
                await pool.connect(endpoint_of(node))
    finally:
        node.thaw()
    async with pool.lease(endpoint_of(node)) as again:
        assert (await again.run(["echo", "back"])).stdout == b"back\n"
