"""Interruptions: Ctrl-C, a killed server, a cut cable. Nothing is lost, nothing half made, nobody lied to."""

import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node, Registry, TestBed

pytestmark = pytest.mark.root


def add(vendetta: Vendetta, name: str, node: Node) -> None:
    vendetta("node", "add", name, f"{node.user}@{node.address}", "--accept-new", "--identity", str(node.key))


def test_racing_callers_get_one_server(vendetta: Vendetta) -> None:
    with ThreadPoolExecutor(8) as callers:
        pids = set(callers.map(lambda _: vendetta.server_pid_of_any_command(), range(8)))
    assert len(pids) == 1


def test_a_stopped_server_comes_back_with_everything(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    add(vendetta, "gpu", docker_node)
    vendetta("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", "gpu")
    vendetta("server", "stop")
    assert vendetta("server", "status", status=None).status != 0
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    assert vendetta("workspace", "exec", name, "--", "echo", "still here").stdout == "still here\n"


def test_a_killed_server_loses_nothing_that_was_reported(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    add(vendetta, "gpu", docker_node)
    vendetta("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", "gpu")
    vendetta.kill_server()
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    assert [node["name"] for node in vendetta.json("node", "list")] == ["gpu"]


def test_a_create_that_the_server_did_not_survive_ends_as_one_instance(
    vendetta: Vendetta, docker_node: Node, registry: Registry, name: str
) -> None:
    """Killed in the middle of the pull, which the registry holds back; the next server finishes the work."""
    add(vendetta, "gpu", docker_node)
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
    add(vendetta, "gpu", docker_node)
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
    vendetta("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", "gpu")


def test_a_lost_link_changes_the_link_alone(bed: TestBed) -> None:
    """Workspaces on a node that can't be asked are unknown, never stopped; when it answers again, they are running."""
    from tests.e2e.harness import fresh_vendetta

    node = bed.node(docker=True)
    with fresh_vendetta(VENDETTA_KEEPALIVE_INTERVAL="1", VENDETTA_NODE_TIMEOUT="1", VENDETTA_CONNECTION_TIMEOUT="2") as vendetta:
        add(vendetta, "gpu", node)
        vendetta("workspace", "create", "web", "--provider", "docker", "--image", "busybox", "--node", "gpu")
        with following(vendetta) as wait_for:
            node.cut()
            wait_for("node.offline")
            assert vendetta.json("workspace", "status", "web")["state"] == "unknown"
            node.mend()
            wait_for("node.connected")
            wait_for("workspace.running")
        assert vendetta.json("node", "status", "gpu")["status"] == "connected"


def test_an_instance_removed_by_hand_is_missing(vendetta: Vendetta, docker_node: Node, name: str) -> None:
    add(vendetta, "gpu", docker_node)
    vendetta("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", "gpu")
    with following(vendetta) as wait_for:
        docker_node.run(["docker", "rm", "-f", f"vendetta-{name}"])
        wait_for("workspace.missing")
    assert vendetta.json("workspace", "status", name)["state"] == "missing"
    assert vendetta.problem("workspace", "exec", name, "--", "true", status=4)["code"] == "wrong_state"
    vendetta("workspace", "remove", name, "--yes")
