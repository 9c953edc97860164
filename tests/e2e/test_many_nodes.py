"""One command on many nodes: every node is heard, and one that fails holds nobody up."""

import json

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta

pytestmark = pytest.mark.root


@pytest.fixture
def nodes(vendetta: Vendetta, make_node: NodeFactory) -> list[str]:
    """Two in the lab, and one that isn't."""
    for name, zone in (("one", "lab"), ("two", "lab"), ("three", "attic")):
        vendetta.add_node(name, make_node(), "--label", f"zone={zone}")
    return ["one", "two", "three"]


def test_a_command_runs_on_all_nodes(vendetta: Vendetta, nodes: list[str]) -> None:
    done = vendetta("node", "exec", "--all", "--", "sh", "-c", "echo first; echo second; echo beside >&2")
    assert sorted(done.stdout.splitlines()) == sorted(
        f"{node:<5} | {line}" for node in nodes for line in ("first", "second")
    )
    assert sorted(done.stderr.splitlines()) == sorted(f"{node:<5} | beside" for node in nodes)


def test_a_command_runs_on_the_nodes_of_a_label(vendetta: Vendetta, nodes: list[str]) -> None:
    results = vendetta.json("node", "exec", "-l", "zone=lab", "echo", "-n", "hello")
    assert {result["node"]: (result["exit_status"], result["stdout"]) for result in results} == {
        "one": (0, "hello"),
        "two": (0, "hello"),
    }


def test_what_fails_is_told_and_nobody_waits_for_it(vendetta: Vendetta, nodes: list[str]) -> None:
    vendetta("node", "add", "absent", "127.0.0.1:1", "--no-connect")
    script = 'case "$SSH_CONNECTION" in "") exit 9;; esac; test -e /nowhere'
    done = vendetta("node", "exec", "--all", "--", "sh", "-c", script, status=1)
    *told, summary = done.stderr.splitlines()
    absent, *others = sorted(told)
    assert absent.startswith("absent ! connect to node absent")
    assert others == [f"{node:<6} ! exit status 1" for node in sorted(nodes)]
    assert summary == "4 of 4 failed: absent, one, three, two"
    results = json.loads(vendetta("-o", "json", "node", "exec", "--all", "--", "false", status=1).stdout)
    assert {result["problem"]["code"] for result in results if result["problem"]} == {"connect_failed"}
