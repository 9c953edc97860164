"""Interruptions: Ctrl-C, a killed server, a cut cable. Nothing is lost, nothing half made, nobody lied to."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta, fresh_vendetta
from tests.testbed import Node, Registry

pytestmark = pytest.mark.root


def test_racing_callers_get_one_server(vendetta: Vendetta) -> None:
    with ThreadPoolExecutor(8) as callers:
        nodes = list(callers.map(lambda _: vendetta.json("node", "list"), range(8)))
        pids = set(callers.map(lambda _: vendetta.server_pid(), range(8)))
    assert nodes == [[]] * 8
    assert len(pids) == 1
    started = (vendetta.home / "v" / "server.log").read_text().count('"event": "ready"')
    assert started == 1


def test_a_stopped_server_comes_back_with_everything(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    vendetta.add_node("gpu", docker_node)
    vendetta.create(name)
    vendetta("server", "stop")
    assert vendetta("server", "status", status=None).status != 0
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    assert vendetta("workspace", "exec", name, "--", "echo", "still here").stdout == "still here\n"


def test_a_killed_server_loses_nothing_that_was_reported(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    vendetta.add_node("gpu", docker_node)
    vendetta.create(name)
    vendetta.kill_server()
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    assert [node["name"] for node in vendetta.json("node", "list")] == ["gpu"]


def test_the_first_thing_that_a_server_is_asked_may_be_placed(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    """Though it has only begun to log in to the nodes."""
    vendetta.add_node("gpu", docker_node)
    vendetta.kill_server()
    vendetta("workspace", "create", name, "--provider", "docker", "--image", "busybox")
    assert vendetta.json("workspace", "status", name)["node"] == "gpu"


def test_a_create_that_the_server_did_not_survive_ends_as_one_instance(
    vendetta: Vendetta, docker_node: Node, registry: Registry, name: str
) -> None:
    """Killed in the middle of the pull, which the registry holds back; the next server finishes the work."""
    vendetta.add_node("gpu", docker_node)
    image = registry.image("held", blobs_held=True)
    operation = vendetta.json(
        "workspace", "create", name, "--provider", "docker", "--image", image, "--node", "gpu", "--no-wait"
    )
    registry.wait_for_held_request()
    vendetta.kill_server()
    registry.release()
    assert vendetta.json("operation", "wait", operation["id"])["state"] == "succeeded"
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    assert len(vendetta.json("execute", "gpu", "docker", "list")["metadata"]["instances"]) == 1


def test_ctrl_c_leaves_neither_half_a_workspace_nor_a_stuck_one(
    vendetta: Vendetta, docker_node: Node, registry: Registry, name: str
) -> None:
    vendetta.add_node("gpu", docker_node)
    image = registry.image("held", blobs_held=True)
    create = ("workspace", "create", name, "--provider", "docker", "--image", image, "--node", "gpu")
    with vendetta.running(*create) as process:
        registry.wait_for_held_request()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    registry.release()
    assert vendetta.json("workspace", "list") == []
    assert vendetta.json("execute", "gpu", "docker", "list")["metadata"]["instances"] == []
    (operation,) = vendetta.json("operation", "list")
    assert operation["state"] == "cancelled"
    vendetta.create(name)


def test_a_lost_link_changes_the_link_alone(make_node: NodeFactory) -> None:
    """Workspaces on a node that can't be asked are unknown, never stopped; when it answers again, they are running."""
    node = make_node(docker=True)
    node.load_image("busybox")
    quick = {"VENDETTA_KEEPALIVE_INTERVAL": "1", "VENDETTA_NODE_TIMEOUT": "1", "VENDETTA_CONNECTION_TIMEOUT": "2"}
    with fresh_vendetta(**quick) as vendetta:
        vendetta.add_node("gpu", node)
        vendetta.create("web")
        before = vendetta.last_event()
        node.cut()
        offline = vendetta.wait_for_event("node.offline", "gpu", after=before)
        lost = vendetta.json("workspace", "status", "web")
        assert lost["state"] == "unknown"
        assert "can't be asked" in lost["reason"]
        node.mend()
        vendetta.wait_for_event("workspace.running", "web", after=offline)
        assert vendetta.json("node", "status", "gpu")["status"] == "connected"
        stopped = [event for event in vendetta.json("events") if event["kind"] == "workspace.stopped"]
        assert not stopped


def test_an_instance_removed_by_hand_is_missing(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    vendetta.add_node("gpu", docker_node)
    vendetta.create(name)
    docker_node.run(["docker", "rm", "-f", f"vendetta-{name}"])
    vendetta.wait_for_event("workspace.missing", name)
    assert vendetta.json("workspace", "status", name)["state"] == "missing"
    assert vendetta.problem("workspace", "exec", name, "--", "true", status=4)["code"] == "wrong_state"
    vendetta("workspace", "remove", name, "--yes")


def test_on_tcp_it_takes_a_token(docker_node: Node) -> None:
    port = free_port()
    with fresh_vendetta(VENDETTA_LISTEN_ADDRESS=f"127.0.0.1:{port}") as vendetta:
        secret = vendetta.json("token", "create", "ci", "--role", "user")["secret"]
        far = ("--server", f"http://127.0.0.1:{port}")
        assert vendetta.problem("node", "list", *far, status=6)["code"] == "unauthorized"
        assert vendetta.problem("node", "list", *far, "--token", "vdt_wrong", status=6)["code"] == "unauthorized"
        assert vendetta.json("node", "list", *far, "--token", secret) == []
        (token,) = vendetta.json("token", "list")
        vendetta("token", "revoke", token["id"])
        assert vendetta.problem("node", "list", *far, "--token", secret, status=6)["code"] == "unauthorized"
        assert secret not in (vendetta.home / "v" / "server.log").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
