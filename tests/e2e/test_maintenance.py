"""Work on a machine: its workspaces stopped or moved away, on real engines, and taken back into use."""

import json

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


@pytest.fixture
def nodes(vendetta: Vendetta, make_node: NodeFactory) -> dict[str, Node]:
    """The image is on the first alone: what is moved brings along what it is made of."""
    nodes = {name: make_node(docker=True) for name in ("gpu", "spare")}
    nodes["gpu"].load_image("busybox")
    for name, node in nodes.items():
        vendetta.add_node(name, node)
    return nodes


def containers(node: Node) -> dict[str, str]:
    """Their states by name."""
    listed = node.run(["docker", "ps", "-a", "--format", "{{.Names}} {{.State}}"]).stdout
    return dict(line.split() for line in listed.splitlines())


def states(vendetta: Vendetta) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["node"], one["state"]) for one in vendetta.json("workspace", "list")}


def write(vendetta: Vendetta, name: str, text: str) -> None:
    vendetta("workspace", "exec", name, "--", "sh", "-c", f"echo {text} >/kept; chmod 600 /kept")


def read(vendetta: Vendetta, name: str) -> str:
    return vendetta("workspace", "exec", name, "--", "sh", "-c", "cat /kept; stat -c %a /kept").stdout


def test_stopped_for_the_work_and_started_after_it(vendetta: Vendetta, nodes: dict[str, Node]) -> None:
    vendetta.create("web")
    vendetta.create("idle", "--no-start")
    done = vendetta("node", "drain", "gpu", "--timeout", "1")
    assert done.stdout.splitlines()[-1] == "node gpu drained: 1 idle, 1 stopped"
    assert containers(nodes["gpu"]) == {"vendetta-web": "exited", "vendetta-idle": "created"}
    assert "cordoned" in vendetta("node", "list").stdout
    refused = vendetta.problem(
        *("workspace", "create", "new", "--provider", "docker", "--image", "busybox", "--node", "gpu"), status=4
    )
    assert "node uncordon gpu" in refused["hint"]
    nodes["spare"].load_image("busybox")
    vendetta("workspace", "create", "new", "--provider", "docker", "--image", "busybox")
    assert states(vendetta)["new"] == ("spare", "running")
    assert vendetta("node", "undrain", "gpu").stdout.splitlines()[-1] == "node gpu undrained: 1 started"
    assert states(vendetta) == {
        "web": ("gpu", "running"),
        "idle": ("gpu", "stopped"),
        "new": ("spare", "running"),
    }


def test_moved_with_what_they_hold(vendetta: Vendetta, nodes: dict[str, Node]) -> None:
    vendetta.create("web", "-e", "WORD=kept", "--label", "team=red")
    write(vendetta, "web", "early")
    vendetta("workspace", "snapshot", "create", "web", "early")
    write(vendetta, "web", "late")
    vendetta.create("still")
    write(vendetta, "still", "still")
    vendetta("workspace", "stop", "still", "--timeout", "1")
    vendetta.create("data", "--mount", "/srv:/data")

    before = states(vendetta)
    refused = vendetta.problem("node", "drain", "gpu", "--move", status=4)
    assert "data can't be moved: /srv at /data would stay behind on node gpu" in refused["detail"]
    assert (states(vendetta), vendetta.json("node", "status", "gpu")["cordoned"]) == (before, False)
    [plan] = [vendetta.json("node", "drain", "gpu", "--move", "--force", "--dry-run")]
    assert {one["name"]: (one["outcome"], one["node"]) for one in plan["workspaces"]} == {
        "data": ("stopped", None),
        "still": ("moved", "spare"),
        "web": ("moved", "spare"),
    }

    vendetta("node", "drain", "gpu", "--move", "--force", "--timeout", "1")
    assert states(vendetta) == {
        "data": ("gpu", "stopped"),
        "still": ("spare", "stopped"),
        "web": ("spare", "running"),
    }
    assert containers(nodes["gpu"]) == {"vendetta-data": "exited"}
    images = nodes["gpu"].run(["docker", "images", "--format", "{{.Repository}}"]).stdout.split()
    assert not [image for image in images if image.startswith("vendetta-")]

    assert read(vendetta, "web") == "late\n600\n"
    assert vendetta("workspace", "exec", "web", "--", "sh", "-c", "echo $WORD").stdout == "kept\n"
    assert [one["name"] for one in vendetta.json("workspace", "snapshot", "list", "web")] == ["early"]
    vendetta("workspace", "start", "still")
    assert read(vendetta, "still") == "still\n600\n"
    # there it is a workspace as any other: its snapshots, another move, its end
    vendetta("node", "undrain", "gpu")
    vendetta("workspace", "move", "web", "--to", "gpu", "--timeout", "1")
    assert (read(vendetta, "web"), states(vendetta)["web"]) == ("late\n600\n", ("gpu", "running"))
    vendetta("workspace", "stop", "web", "--timeout", "1")
    vendetta("workspace", "snapshot", "restore", "web", "early", "--yes")
    vendetta("workspace", "start", "web")
    assert read(vendetta, "web") == "early\n600\n"
    vendetta("workspace", "remove", "--all", "--force", "--yes")
    for name in nodes:
        assert vendetta.json("node", "cleanup", name, "--dry-run") == []


def test_killed_in_the_middle_of_a_move(vendetta: Vendetta, nodes: dict[str, Node]) -> None:
    """At several moments of it; whatever they hit, it ends with one workspace that has what it held."""
    vendetta.create("web")
    write(vendetta, "web", "kept")
    here, there = "gpu", "spare"
    for message in ("stopping", "copying", "starting", "removing"):
        pid = vendetta.server_pid()
        with vendetta.client() as client:
            operation = client.workspaces.move("web", node=there, timeout_seconds=1)
            for seen in client.operations.watch(operation.id):
                if seen.progress and message in seen.progress.message:
                    break
            vendetta.kill_server(pid)
        ended = vendetta.json("operation", "wait", operation.id)
        assert ended["state"] == "succeeded", ended
        assert states(vendetta) == {"web": (there, "running")}
        assert read(vendetta, "web") == "kept\n600\n"
        assert containers(nodes[here]) == {}
        assert containers(nodes[there]) == {"vendetta-web": "running"}
        here, there = there, here


def test_several_nodes_at_once(vendetta: Vendetta, nodes: dict[str, Node]) -> None:
    nodes["spare"].load_image("busybox")
    vendetta.create("web")
    vendetta.create("other", node="spare")
    lines = vendetta("-o", "json", "node", "drain", "--all", "--timeout", "1").stdout.splitlines()
    assert {one["name"]: one["problem"] for one in map(json.loads, lines)} == {"gpu": None, "spare": None}
    assert {state for _, state in states(vendetta).values()} == {"stopped"}
    assert vendetta("node", "undrain", "--all").stderr == "2 undrained\n"
    assert {state for _, state in states(vendetta).values()} == {"running"}
