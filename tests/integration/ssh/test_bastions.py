"""The hosts that nodes are behind: one connection to each, for all the nodes behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told, endpoint
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import AuthFailed, ForwardingRefused, HostKeyChanged, HostKeyUnknown, LinkError
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Capacity, Pool

NODES = 12


class Behind:
    """Nodes behind a chain of bastions, all with the same key."""

    def __init__(self, side: Side, node: Sshd, *bastions: Sshd) -> None:
        public = node.key.read_text()
        (side.ssh_dir / "id_ed25519").write_text(public)
        (side.ssh_dir / "id_ed25519").chmod(0o600)
        for bastion in bastions:
            (bastion.directory / "authorized_keys").write_text((node.directory / "authorized_keys").read_text())
        self.node = node
        self.jump = tuple(f"root@127.0.0.1:{bastion.port}" for bastion in bastions)

    def endpoint(self, number: int) -> Endpoint:
        return endpoint(self.node, f"n{number}", jump=self.jump, identity=None)


@pytest.fixture
async def connector(side: Side) -> AsyncIterator[Connector]:
    connector = side.connector(bastion_linger_seconds=0.05)
    yield connector
    await connector.close()


async def test_one_login_serves_all_the_nodes_behind_it(make_sshd: MakeSshd, side: Side, connector: Connector) -> None:
    first, second, node = make_sshd(), make_sshd(), make_sshd()
    behind = Behind(side, node, first, second)
    async with Pool(connector, Told(), Capacity(100)) as pool:
        connections = await asyncio.gather(*(pool.connect(behind.endpoint(n), ACCEPT) for n in range(NODES)))
        results = await asyncio.gather(*(connection.run(["echo", "hello"]) for connection in connections))
        assert {result.stdout for result in results} == {b"hello\n"}
        assert (first.logins, second.logins, node.logins) == (1, 1, NODES)
        assert connector.bastions_held == 2


async def test_it_is_closed_a_while_after_the_last_of_them(
    make_sshd: MakeSshd, side: Side, connector: Connector
) -> None:
    bastion, node = make_sshd(), make_sshd()
    behind = Behind(side, node, bastion)
    connections = [await connector.open(behind.endpoint(number), ACCEPT) for number in range(2)]
    await connections[0].close()
    assert (await connections[1].run(["true"])).exit_status == 0
    await connections[1].close()
    async with asyncio.timeout(20):
        while bastion.session_pids():
            await asyncio.sleep(0.02)
    assert not connector.bastions_held
    await (await connector.open(behind.endpoint(0))).close()
    assert bastion.logins == 2


async def test_a_lost_bastion_is_logged_in_to_once_more(make_sshd: MakeSshd, side: Side, connector: Connector) -> None:
    bastion, node = make_sshd(), make_sshd()
    behind = Behind(side, node, bastion)
    async with Pool(connector, Told(), Capacity(100)) as pool:
        connections = await asyncio.gather(*(pool.connect(behind.endpoint(n), ACCEPT) for n in range(NODES)))
        bastion.kill_sessions()
        await asyncio.gather(*(connection.wait_closed() for connection in connections))
        assert all(isinstance(connection.error, LinkError) for connection in connections)

        async def use(number: int) -> bytes:
            async with pool.lease(behind.endpoint(number)) as connection:
                return (await connection.run(["echo", "back"])).stdout

        assert set(await asyncio.gather(*(use(number) for number in range(NODES)))) == {b"back\n"}
        assert bastion.logins == 2


async def test_each_node_is_told_of_its_own_failure(make_sshd: MakeSshd, side: Side, connector: Connector) -> None:
    bastion, node = make_sshd(), make_sshd()
    behind = Behind(side, node, bastion)
    (bastion.directory / "authorized_keys").write_text("")
    tries = (connector.open(behind.endpoint(number), ACCEPT) for number in range(4))
    failures = await asyncio.gather(*tries, return_exceptions=True)
    for number, failure in enumerate(failures):
        assert isinstance(failure, AuthFailed)
        assert f"on the way to node n{number}," in failure.message
        assert failure.details["node"] == f"n{number}"
    assert node.logins == 0


async def test_its_host_key_needs_a_yes_as_any_other(make_sshd: MakeSshd, side: Side, connector: Connector) -> None:
    bastion, node = make_sshd(), make_sshd()
    behind = Behind(side, node, bastion)
    unasked, accepted = await asyncio.gather(
        connector.open(behind.endpoint(0)), connector.open(behind.endpoint(1), ACCEPT), return_exceptions=True
    )
    assert isinstance(unasked, HostKeyUnknown)
    assert not isinstance(accepted, BaseException)
    await accepted.close()
    side.host_keys.forget(f"[127.0.0.1]:{bastion.port}")
    side.host_keys.pin(f"[127.0.0.1]:{bastion.port}", node.host_key)
    await connector.close()
    with pytest.raises(HostKeyChanged, match="on the way to node n0"):
        await connector.open(behind.endpoint(0), ACCEPT)


async def test_one_that_forbids_going_on(make_sshd: MakeSshd, side: Side, connector: Connector) -> None:
    bastion, node = make_sshd(AllowTcpForwarding="no"), make_sshd()
    with pytest.raises(ForwardingRefused, match="forbids going on"):
        await connector.open(Behind(side, node, bastion).endpoint(0), ACCEPT)


async def test_a_caller_that_gives_up_takes_it_from_nobody(
    make_sshd: MakeSshd, side: Side, connector: Connector
) -> None:
    bastion, node = make_sshd(), make_sshd()
    behind = Behind(side, node, bastion)
    opening = [asyncio.create_task(connector.open(behind.endpoint(number), ACCEPT)) for number in range(3)]
    await asyncio.sleep(0)
    opening[0].cancel()
    for task in opening[1:]:
        await (await task).close()
    assert bastion.logins == 1
