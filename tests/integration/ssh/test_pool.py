"""One connection a node, however many callers; leased ones stay, idle ones go, dead ones are replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, Told, endpoint_of
from tests.testbed import Node

from vendetta.errors import AuthFailed, Busy
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Capacity, Pool

pytestmark = pytest.mark.root


@asynccontextmanager
async def leased(pool: Pool, node: Node) -> AsyncIterator[None]:
    await pool.connect(endpoint_of(node, "z"), ACCEPT)
    async with pool.lease(endpoint_of(node, "z")):
        yield


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def pool(connector: Connector, told: Told) -> AsyncIterator[Pool]:
    async with Pool(connector, told, Capacity(2)) as pool:
        yield pool


async def test_a_thousand_callers_make_one_login(make_node: NodeFactory, pool: Pool, told: Told) -> None:
    node = make_node()
    await pool.connect(endpoint_of(node), ACCEPT)
    await pool.disconnect("gpu")
    logins = node.logins()

    async def use() -> int:
        async with pool.lease(endpoint_of(node)) as connection:
            return id(connection)

    assert len(set(await asyncio.gather(*(use() for _ in range(1000))))) == 1
    assert node.logins() == logins + 1
    assert told.heard == [
        ("connecting", "gpu"),
        ("connected", "gpu"),
        ("closed", "gpu"),
        ("connecting", "gpu"),
        ("connected", "gpu"),
    ]


async def test_a_failed_login_is_everybodys_and_the_next_caller_tries_again(
    docker_node: Node, pool: Pool, connector: Connector, told: Told
) -> None:
    await (await connector.open(endpoint_of(docker_node), ACCEPT)).close()
    stranger = Endpoint(node="gpu", host=docker_node.address, user="dev")
    outcomes = await asyncio.gather(*(pool.connect(stranger) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, AuthFailed) for outcome in outcomes)
    assert told.heard == [("connecting", "gpu"), ("failed", "gpu")]
    await pool.connect(endpoint_of(docker_node), ACCEPT)
    assert pool.connection("gpu") is not None


async def test_a_connection_that_died_while_idle_is_replaced_unnoticed(
    make_node: NodeFactory, pool: Pool, told: Told
) -> None:
    node = make_node()
    first = await pool.connect(endpoint_of(node), ACCEPT)
    node.run(["pkill", "-f", "sshd: dev"])
    await asyncio.wait_for(first.wait_closed(), 30)
    async with pool.lease(endpoint_of(node)) as second:
        assert (await second.run(["echo", "back"])).stdout == b"back\n"
    assert second is not first


async def test_the_idlest_makes_room_and_one_in_use_never_does(docker_node: Node, pool: Pool) -> None:
    await pool.connect(endpoint_of(docker_node, "a"), ACCEPT)
    await pool.connect(endpoint_of(docker_node, "b"), ACCEPT)
    await pool.connect(endpoint_of(docker_node, "a"), ACCEPT)
    await pool.connect(endpoint_of(docker_node, "c"), ACCEPT)
    assert (pool.connection("b"), len(pool)) == (None, 2)
    async with pool.lease(endpoint_of(docker_node, "a")), pool.lease(endpoint_of(docker_node, "c")) as held:
        waiting = asyncio.create_task(pool.connect(endpoint_of(docker_node, "b"), ACCEPT))
        await (await pool.connect(endpoint_of(docker_node, "a"), ACCEPT)).run(["true"])
        assert not waiting.done()
        assert not held.closed
    assert not (await waiting).closed


async def test_where_all_are_in_use_for_too_long_the_limit_is_named(
    docker_node: Node, connector: Connector, told: Told
) -> None:
    async with (
        Pool(connector, told, Capacity(1, patience_seconds=0.05)) as pool,
        leased(pool, docker_node),
    ):
        with pytest.raises(Busy, match="all 1 connections are in use"):
            await pool.connect(endpoint_of(docker_node, "d"), ACCEPT)


async def test_idle_ones_are_closed_and_told(docker_node: Node, connector: Connector, told: Told) -> None:
    async with Pool(connector, told, Capacity(100), max_idle_seconds=0.2) as pool:
        connection = await pool.connect(endpoint_of(docker_node), ACCEPT)
        async with pool.lease(endpoint_of(docker_node)):
            await connection.run(["sleep", "0.5"])
            assert not connection.closed
        await asyncio.wait_for(connection.wait_closed(), 30)
    assert told.heard[-1] == ("closed", "gpu")


async def test_a_caller_that_gives_up_leaves_the_login_to_the_others(make_node: NodeFactory, pool: Pool) -> None:
    node = make_node()
    quitter = asyncio.create_task(pool.connect(endpoint_of(node), ACCEPT))
    other = asyncio.create_task(pool.connect(endpoint_of(node), ACCEPT))
    await asyncio.sleep(0)
    quitter.cancel()
    assert not (await other).closed
    assert node.logins() == 1


async def test_logins_are_paced_below_max_startups(make_node: NodeFactory, connector: Connector, told: Told) -> None:
    node = make_node(sshd={"MaxStartups": "3:50:4"})
    async with Pool(connector, told, Capacity(100)) as pool:
        names = [f"n{number}" for number in range(12)]
        await asyncio.gather(*(pool.connect(endpoint_of(node, name), ACCEPT) for name in names))
        assert len(pool) == 12
