"""A login to a machine behind a node, through the node's connection. The node's own sshd stands for that machine's."""

import asyncio

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import Opening
from tests.testbed import Node

from vendetta.errors import AuthFailed, ConnectFailed, HostKeyChanged, InvalidInput, LinkError
from vendetta.providers.qemu.keys import generate_key
from vendetta.ssh.channel import Connection
from vendetta.transport import Guest, Process

pytestmark = pytest.mark.root

LOOPBACK = "127.0.0.1"


async def log_in(connection: Connection, node: Node, **instead: str) -> Guest:
    keys = {"private_key": node.key.read_text(), "host_key": node.public_key(), **instead}
    return await connection.login(LOOPBACK, node.port, user=node.user, **keys)


async def test_what_runs_there_and_what_listens_there(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        guest = await log_in(connection, docker_node)
        assert (await guest.run(["id", "-un"])).stdout.decode().strip() == docker_node.user
        stream = await guest.open_tcp(LOOPBACK, docker_node.port)
        assert (await stream.read()).startswith(b"SSH-2.0-")
        await stream.close()
        await guest.close()
        assert guest.closed
        assert (await connection.run(["true"])).exit_status == 0


async def test_another_host_key_is_turned_away(docker_node: Node, opened: Opening) -> None:
    logins = docker_node.logins()
    async with opened(docker_node) as connection:
        with pytest.raises(HostKeyChanged):
            await log_in(connection, docker_node, host_key=generate_key().public)
    assert docker_node.logins() == logins + 1


async def test_a_key_that_it_does_not_know(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        with pytest.raises(AuthFailed):
            await log_in(connection, docker_node, private_key=generate_key().private)


async def test_keys_that_are_none(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        with pytest.raises(InvalidInput):
            await log_in(connection, docker_node, host_key="ssh-ed25519 nonsense")


async def test_nothing_listens_there(docker_node: Node, opened: Opening) -> None:
    async with opened(docker_node) as connection:
        with pytest.raises(ConnectFailed):
            await connection.login(
                LOOPBACK, 9, user="x", private_key=generate_key().private, host_key=generate_key().public
            )


async def test_where_sshd_forwards_no_ports(make_node: NodeFactory, opened: Opening) -> None:
    node = make_node(sshd={"AllowTcpForwarding": "no"})
    async with opened(node) as connection:
        guest = await log_in(connection, node)
        assert (await guest.run(["echo", "up"])).stdout == b"up\n"
        await guest.close()


async def test_it_ends_with_the_node(make_node: NodeFactory, opened: Opening) -> None:
    node = make_node()
    async with opened(node) as connection:
        guest = await log_in(connection, node)
        process = await guest.open_process(["cat"])
        await connection.close()
        with pytest.raises(LinkError):
            await asyncio.wait_for(read_on(process), 20)
        assert guest.closed


async def read_on(process: Process) -> None:
    while await process.read() is not None:
        pass
    await process.wait()
