"""A node whose sshd allows the least: one session, and hardly two logins at a time. Everything works all the same."""

import asyncio

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, Side, add, endpoint_of
from tests.testbed import Node

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import CommandRequest, ExecRequest, RunRequest

pytestmark = pytest.mark.root

LEAST = {"MaxSessions": "1", "MaxStartups": "2:50:3"}
AND_NOTHING_FORWARDED = {**LEAST, "DisableForwarding": "yes"}


@pytest.fixture(params=[LEAST, AND_NOTHING_FORWARDED], ids=["forwarding", "no-forwarding"])
def node(make_node: NodeFactory, request: pytest.FixtureRequest) -> Node:
    node = make_node(docker=True, sshd=request.param)
    node.load_image("busybox")
    return node


async def execute(services: Services, name: str, text: str) -> bytes:
    written = b""
    async with services.node_processes.open(name, ExecRequest(argv=["sh", "-c", f"sleep 0.1; echo {text}"])) as process:
        while output := await process.read():
            written += output.data
        assert await process.wait() == 0
    return written


async def test_add_probe_run_exec_and_the_docker_socket_side_by_side(services: Services, node: Node) -> None:
    await add(services, node, "gpu")
    assert (await services.nodes.get("gpu")).providers["docker"].state == "healthy"

    async def list_instances() -> None:
        command = CommandRequest(action="list", provider="docker")
        assert (await services.dispatcher.execute(Ask("test"), "gpu", command)).success

    async def run() -> None:
        request = RunRequest(argv=["echo", "hello"], nodes=["gpu"])
        assert [done.stdout async for done in services.node_processes.run(request)] == ["hello\n"]

    texts = [f"t{number}" for number in range(12)]
    *_, outputs = await asyncio.gather(
        *(services.node_links.probe("gpu") for _ in range(3)),
        *(list_instances() for _ in range(10)),
        *(run() for _ in range(5)),
        asyncio.gather(*(execute(services, "gpu", text) for text in texts)),
    )
    assert outputs == [f"{text}\n".encode() for text in texts]
    assert (await services.nodes.get("gpu")).status == "connected"


async def test_many_nodes_behind_one_such_door(services: Services, node: Node) -> None:
    names = [f"n{number}" for number in range(12)]
    await asyncio.gather(*(add(services, node, name) for name in names))
    assert {item.status for item in (await services.nodes.list()).items} == {"connected"}
    assert (await services.status()).connections == len(names)


async def test_much_is_carried_while_commands_run(side: Side, node: Node) -> None:
    connection = await side.connector().open(endpoint_of(node), ACCEPT)
    much = bytes(5_000_000)
    there, *_, back = await asyncio.gather(
        connection.run(["cat"], input=much),
        *(connection.run(["true"]) for _ in range(10)),
        connection.run(["cat"], input=much),
    )
    assert (there.stdout, back.stdout) == (much, much)
    await connection.close()
