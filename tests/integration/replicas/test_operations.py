"""Operations on a real engine, asked for at one server, and watched, waited for and cancelled at the other."""

import json
import time
from collections.abc import Iterator

import pytest
from tests.e2e.harness import PATIENCE_SECONDS
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.servers import Server, wait_until
from tests.testbed import Node, TestBed

pytestmark = [pytest.mark.root, pytest.mark.timeout(240), pytest.mark.alone]

Pair = tuple[Server, Server]
PROMISED_SECONDS = 15.0
"""Within which what a killed server held goes on at the other."""


@pytest.fixture(scope="module")
def own_node(bed: TestBed) -> Iterator[Node]:
    """Its link is cut."""
    node = bed.node(docker=True)
    node.load_image("busybox")
    yield node
    node.kill()


@pytest.fixture
def web(servers: Pair, own_node: Node) -> Iterator[str]:
    first = servers[0].vendetta
    first.add_node("gpu", own_node)
    first.create("web")
    yield "web"
    own_node.mend()
    for server in servers:
        if server.vendetta("workspace", "remove", "web", "--yes", "--force", status=None).status == 0:
            return


def test_a_program_is_cancelled_at_the_server_that_does_not_hold_it(servers: Pair, web: str) -> None:
    first, second = servers
    config = json.dumps({"argv": ["sh", "-c", "echo begun > /begun; sleep 300"]})
    asked = ("execute", "gpu", "docker", "exec", "--workspace", web, "--config", config, "--async")
    operation = first.vendetta.json(*asked)
    with second.vendetta.running("-o", "json", "operation", "wait", operation["id"]) as waiting:
        second.vendetta("workspace", "exec", web, "--", "sh", "-c", "until [ -e /begun ]; do sleep 0.1; done")
        second.vendetta("operation", "cancel", operation["id"])
        _, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, json.loads(said)["code"]) == (1, "cancelled")
    for server in servers:
        assert server.vendetta.json("operation", "show", operation["id"])["state"] == "cancelled"


def test_one_that_waits_for_its_node_is_told_at_the_other_server_and_goes_on_there(
    servers: Pair, web: str, own_node: Node, balancer: Balancer
) -> None:
    """Its progress, by the stream; then its server is killed, and the other one waits on, and ends it.

    Who waits for its end at the killed one goes on at the other.
    """
    first, second = servers
    own_node.cut()
    with first.vendetta.client() as client:
        stop = client.workspaces.stop(web)
    second.vendetta.wait_for_progress(stop.id, "waiting for node gpu")
    with (
        second.vendetta.client() as client,
        second.vendetta.running("--server", balancer.address, "operation", "wait", stop.id) as waiting,
    ):
        balancer.wait_for_callers()
        killed_at = time.monotonic()
        first.kill()
        wait_until(lambda: client.operations.get(stop.id).attempts, lambda attempts: attempts == 2)
        assert time.monotonic() - killed_at < PROMISED_SECONDS
        own_node.mend()
        client.nodes.connect("gpu")
        assert waiting.wait(PATIENCE_SECONDS) == 0
        assert client.workspaces.get(web).state == "stopped"
