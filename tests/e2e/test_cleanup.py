"""What is left on a node is shown, and taken away: that, and nothing else."""

from collections.abc import Iterator

import pytest
from tests.e2e.harness import Vendetta, fresh_vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


@pytest.fixture
def other() -> Iterator[Vendetta]:
    """Somebody else's server, with workspaces on the same node."""
    with fresh_vendetta() as other:
        yield other


def containers(node: Node) -> set[str]:
    return set(node.run(["docker", "ps", "-a", "--format", "{{.Names}}"]).stdout.split())


def test_what_no_workspace_stands_for_goes(vendetta: Vendetta, other: Vendetta, docker_node: Node, name: str) -> None:
    lost, kept, theirs = f"{name}-lost", f"{name}-kept", f"{name}-theirs"
    vendetta.add_node("gpu", docker_node)
    other.add_node("gpu", docker_node)
    vendetta.create(lost)
    vendetta("workspace", "snapshot", "create", lost, "before")
    other.create(theirs)
    # the record is forgotten, what runs goes on
    vendetta("node", "remove", "gpu", "--force", "--yes")
    vendetta.add_node("gpu", docker_node)
    vendetta.create(kept)
    shown = vendetta.json("node", "cleanup", "gpu", "--dry-run")
    assert {(one["kind"], one["workspace"], one["in_use"]) for one in shown} == {
        ("instance", lost, False),
        ("snapshot", lost, False),
    }
    assert vendetta.problem("node", "cleanup", "gpu", status=2)["code"] == "invalid_input"
    vendetta("node", "cleanup", "gpu", "--yes")
    assert f"vendetta-{lost}" not in containers(docker_node)
    assert {f"vendetta-{kept}", f"vendetta-{theirs}"} <= containers(docker_node)
    assert vendetta.json("node", "cleanup", "gpu", "--dry-run") == []

    everything = vendetta.json("execute", "gpu", "docker", "cleanup", "--config", '{"workspaces": true}')
    assert [one["workspace"] for one in everything["metadata"]["removed"]] == [kept]
    assert vendetta.json("workspace", "list") == []
    assert f"vendetta-{theirs}" in containers(docker_node)
    other("workspace", "remove", theirs, "--force", "--yes")


def test_a_configuration_is_checked_before_the_node_is_asked(vendetta: Vendetta, docker_node: Node) -> None:
    vendetta.add_node("gpu", docker_node)
    wrong = '{"image": "busybox", "options": {"privileegd": true}}'
    problem = vendetta.problem("execute", "gpu", "docker", "create", "-w", "web", "--config", wrong, status=2)
    assert problem["detail"].startswith("options.privileegd: unknown option. Did you mean")
    problem = vendetta.problem(
        "execute", "gpu", "docker", "create", "-w", "web", "--config", '{"imgae": "x"}', status=2
    )
    assert 'config.imgae: unknown key. Did you mean "image"?' in problem["detail"]
    assert vendetta.json("provider", "show", "docker", "create")["properties"]["options"]["properties"]["privileged"]
