"""One change on many workspaces, on a real engine."""

import json

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


@pytest.fixture
def names(vendetta: Vendetta, docker_node: Node, name: str) -> list[str]:
    """More than a node does at a time."""
    vendetta.add_node("gpu", docker_node)
    names = [f"{name}-{number}" for number in range(10)]
    with vendetta.client() as client:
        operations = [
            client.workspaces.create(
                {"name": each, "provider": "docker", "image": "busybox", "node": "gpu", "labels": {"run": name}}
            )
            for each in names
        ]
        assert {client.operations.wait(one.id, 90).state for one in operations} == {"succeeded"}
    return names


def test_by_name_by_label_and_all(vendetta: Vendetta, names: list[str], name: str) -> None:
    done = vendetta("workspace", "stop", *names[:9], "absent", "--timeout", "1", status=1)
    assert sorted(done.stdout.splitlines()) == [f"workspace {each} stopped" for each in names[:9]]
    assert done.stderr.splitlines()[-1] == "9 stopped, 1 failed: absent"
    assert [one["name"] for one in vendetta.json("workspace", "list", "--state", "running")] == names[9:]

    lines = vendetta("-o", "json", "workspace", "start", "--label", f"run={name}").stdout.splitlines()
    assert {one["name"]: one["result"]["state"] for one in map(json.loads, lines)} == dict.fromkeys(names, "running")

    refused = vendetta.problem("workspace", "remove", "--all", "--force", status=2)
    assert "10 in all" in refused["detail"]
    assert vendetta("workspace", "remove", "--all", "--force", "--yes").stderr == "10 removed\n"
    assert vendetta("workspace", "remove", "--all", "--force", "--yes").stderr == "there is no workspace\n"
