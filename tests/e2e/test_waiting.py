"""A node that is away in the middle of an operation: it waits, says so, and goes on, or ends by its deadline."""

import json
from collections.abc import Iterator
from typing import IO

import pytest
from tests.e2e.harness import Vendetta, fresh_vendetta
from tests.testbed import Node, TestBed

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def node(bed: TestBed) -> Iterator[Node]:
    """One of its own: its link is cut."""
    node = bed.node(docker=True)
    node.load_image("busybox")
    yield node
    node.kill()


@pytest.fixture(scope="module")
def vendetta(node: Node) -> Iterator[Vendetta]:
    """Its server notices within seconds that the node is silent."""
    quick = {"VENDETTA_KEEPALIVE_INTERVAL": "1", "VENDETTA_NODE_TIMEOUT": "1", "VENDETTA_CONNECTION_TIMEOUT": "2"}
    with fresh_vendetta(**quick) as vendetta:
        vendetta.add_node("gpu", node)
        vendetta.create("web")
        yield vendetta


def test_it_goes_on_once_the_node_is_back(vendetta: Vendetta, node: Node) -> None:
    node.cut()
    try:
        with vendetta.running("workspace", "stop", "web") as process:
            said = read_until(process.stderr, "waiting for node gpu")
            assert said.startswith("web: waiting for node gpu: ")
            assert "; until " in said
            node.mend()
            assert process.wait(60) == 0
    finally:
        node.mend()
    [operation] = [one for one in vendetta.json("operation", "list") if one["kind"] == "workspace.stop"]
    assert operation["state"] == "succeeded"
    assert operation["attempts"] == 1
    tries = [(one["step"], one["number"], one["code"] is None) for one in operation["history"]]
    assert tries[0] == ("stop", 1, False)
    assert ("stop", len([one for one in tries if one[0] == "stop"]), True) in tries
    shown = vendetta("operation", "show", operation["id"]).stdout
    assert "History:" in shown
    assert "; next try by " in shown
    assert vendetta.json("workspace", "status", "web")["state"] == "stopped"


def test_past_its_deadline_it_fails_and_changes_nothing(vendetta: Vendetta, node: Node) -> None:
    vendetta("workspace", "start", "web")
    node.cut()
    try:
        failed = vendetta.problem("workspace", "stop", "web", "--deadline", "6", status=7)
    finally:
        node.mend()
    assert failed["code"] == "deadline_exceeded"
    assert "not done within 6 s" in failed["detail"]
    assert "gpu" in failed["detail"]
    vendetta("node", "connect", "gpu")
    assert vendetta.json("workspace", "status", "web")["state"] == "running"


def test_a_creation_that_never_reached_the_node_is_cancelled_without_a_trace(vendetta: Vendetta, node: Node) -> None:
    vendetta("node", "disconnect", "gpu")
    node.cut()
    try:
        create = ("workspace", "create", "late", "--provider", "docker", "--image", "busybox", "--node", "gpu")
        operation = vendetta.json(*create, "--no-wait")
        with vendetta.running("-o", "json", "operation", "wait", operation["id"]) as process:
            vendetta.wait_for_progress(operation["id"], "waiting for node gpu")
            vendetta("operation", "cancel", operation["id"])
            process.wait(60)
        ended = vendetta.json("operation", "show", operation["id"])
        assert ended["state"] == "cancelled"
        assert "late" not in [workspace["name"] for workspace in vendetta.json("workspace", "list")]
    finally:
        node.mend()
    vendetta("node", "connect", "gpu")


def test_a_program_that_cannot_be_stopped_is_told(vendetta: Vendetta) -> None:
    config = json.dumps({"argv": ["sh", "-c", "echo begun > /begun; sleep 300"]})
    begun = ("workspace", "exec", "web", "--", "sh", "-c", "until [ -e /begun ]; do sleep 0.1; done")
    asked = ("execute", "gpu", "docker", "exec", "--workspace", "web", "--config", config, "--async")
    operation = vendetta.json(*asked)
    vendetta(*begun)
    vendetta("operation", "cancel", operation["id"])
    problem = vendetta.problem("operation", "wait", operation["id"], status=1)
    assert problem["code"] == "cancelled"
    assert "may still run" in problem["detail"]


def test_a_program_is_not_run_twice_where_the_server_was_killed(vendetta: Vendetta) -> None:
    config = json.dumps({"argv": ["sh", "-c", "echo x >> /ran; sleep 300"]})
    asked = ("execute", "gpu", "docker", "exec", "--workspace", "web", "--config", config, "--async")
    operation = vendetta.json(*asked)
    vendetta("workspace", "exec", "web", "--", "sh", "-c", "until [ -s /ran ]; do sleep 0.1; done")
    vendetta.kill_server()
    problem = vendetta.problem("operation", "wait", operation["id"], status=1)
    assert problem["code"] == "outcome_unknown"
    assert "vendetta workspace exec web -- ps" in problem["hint"]
    assert vendetta("workspace", "exec", "web", "--", "cat", "/ran").stdout == "x\n"


def read_until(stream: "IO[str] | None", words: str) -> str:
    assert stream
    for line in stream:
        if words in line:
            return line
    raise AssertionError(f"it ended without saying {words}")
