"""The main job, as it is typed: a node is added, a workspace is made on it, used, and taken away again."""

import json
import re
import urllib.request

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


@pytest.fixture
def node(vendetta: Vendetta, docker_node: Node) -> str:
    """A node called gpu, added."""
    vendetta.add_node("gpu", docker_node, "--label", "zone=lab")
    return "gpu"


@pytest.fixture
def web(vendetta: Vendetta, node: str, name: str) -> str:
    """A workspace on it, running."""
    vendetta.create(name)
    return name


def test_a_node_is_added_and_tells_what_it_is(vendetta: Vendetta, node: str) -> None:
    (listed,) = vendetta.json("node", "list")
    assert listed["status"] == "connected"
    assert listed["providers"]["docker"]["state"] == "healthy"
    assert listed["resources"]["cpus"] >= 1
    assert listed["latency_seconds"] > 0
    assert listed["host_key"]["fingerprint"].startswith("SHA256:")
    assert "docker" in listed["capabilities"]
    assert vendetta.json("node", "list", "--label", "zone=moon") == []
    assert vendetta.json("node", "list", "--status", "connected")[0]["name"] == "gpu"
    table = vendetta("node", "list").stdout.splitlines()
    assert table[0].split()[:3] == ["NAME", "ADDRESS", "STATUS"]
    assert "connected" in table[1]


def test_a_workspace_lives_and_ends(vendetta: Vendetta, node: str, name: str) -> None:
    created = vendetta.json("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", node)
    assert (created["state"], created["node"], created["provider"]) == ("running", "gpu", "docker")
    for verb, state in (("stop", "stopped"), ("stop", "stopped"), ("start", "running"), ("restart", "running")):
        vendetta("workspace", verb, name)
        assert vendetta.json("workspace", "status", name)["state"] == state
    refused = vendetta.problem("workspace", "remove", name, "--yes", status=4)
    assert refused["code"] == "wrong_state"
    assert vendetta.json("workspace", "status", name)["state"] == "running"
    vendetta("workspace", "remove", name, "--yes", "--force")
    assert vendetta.json("workspace", "list") == []
    vendetta("workspace", "status", name, status=3)


def test_exec_passes_streams_environment_and_status(vendetta: Vendetta, web: str) -> None:
    script = 'echo "$A $PWD"; echo no >&2; exit 7'
    done = vendetta("ws", "exec", web, "-e", "A=b c", "-w", "/tmp", "--", "sh", "-c", script, status=7)
    assert (done.stdout, done.stderr) == ("b c /tmp\n", "no\n")
    assert vendetta("ws", "exec", web, "-i", "--", "cat", input="through\n").stdout == "through\n"
    assert vendetta("ws", "exec", web, "--", "nothing-like-it", status=127).stdout == ""


def test_logs_stats_and_execute(vendetta: Vendetta, node: str, name: str) -> None:
    argv = ("--command", "sh -c 'echo one; echo two; exec sleep 1000'")
    vendetta.create(name, *argv)
    assert vendetta("workspace", "logs", name).stdout == "one\ntwo\n"
    assert vendetta("workspace", "logs", name, "--tail", "1").stdout == "two\n"
    assert vendetta.json("workspace", "stats", name)["memory_bytes"] > 0
    result = vendetta.json("execute", "gpu", "docker", "list")
    assert [instance["name"] for instance in result["metadata"]["instances"]] == [name]
    argv = json.dumps({"argv": ["echo", "hi"]})
    assert vendetta.json("execute", "gpu", "docker", "exec", "--workspace", name, "--config", argv)["output"] == "hi\n"


def test_execute_makes_workspaces_like_any_other(vendetta: Vendetta, node: str, name: str) -> None:
    config = json.dumps({"image": "busybox", "memory": "64M"})
    vendetta("execute", node, "docker", "up", "--workspace", name, "--config", config)
    workspace = vendetta.json("workspace", "status", name)
    assert (workspace["state"], workspace["spec"]["memory_bytes"]) == ("running", 64 * 2**20)
    operation = vendetta.json("execute", node, "docker", "down", "--workspace", name, "--async")
    assert vendetta.json("operation", "wait", operation["id"])["state"] == "succeeded"
    assert vendetta.json("workspace", "status", name)["state"] == "stopped"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("dockr", "list"), 'Did you mean "docker"?'),
        (("docker", "lst"), 'Did you mean "list"?'),
        (("docker", "start"), "workspace: is required"),
        (("docker", "create", "--workspace", "x", "--config", "{}"), "config.image: is required"),
        (("docker", "create", "--workspace", "x", "--config", '{"image": "b", "cpus": "x"}'), "config.cpus: 'x'"),
        (("docker", "create", "--workspace", "x", "--config", "{"), "JSON"),
    ],
)
def test_execute_refuses_what_makes_no_sense(vendetta: Vendetta, node: str, argv: tuple[str, ...], says: str) -> None:
    assert says in vendetta("execute", node, *argv, status=2).stderr


def test_a_port_is_forwarded(vendetta: Vendetta, node: str, name: str) -> None:
    argv = ("--command", "sh -c 'mkdir /www; echo page > /www/index.html; exec httpd -f -p 8000 -h /www'")
    vendetta.create(name, *argv)
    with vendetta.running("workspace", "forward", name, "0:8000") as forward:
        assert forward.stdout is not None
        said = forward.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found, said
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=30) as answer:
            assert answer.read() == b"page\n"


def test_the_node_itself_can_be_used(vendetta: Vendetta, node: str) -> None:
    done = vendetta("node", "exec", node, "--", "sh", "-c", "echo $1; exit 3", "sh", "a 'b' $c", status=3)
    assert done.stdout == "a 'b' $c\n"


def test_edit_disconnect_connect_and_remove(vendetta: Vendetta, web: str) -> None:
    vendetta("node", "edit", "gpu", "--label", "zone=attic")
    assert vendetta.json("node", "status", "gpu")["labels"]["zone"] == "attic"
    vendetta("node", "disconnect", "gpu")
    assert vendetta.json("node", "status", "gpu")["status"] == "unknown"
    vendetta("node", "connect", "gpu")
    assert vendetta.json("node", "status", "gpu")["status"] == "connected"
    assert vendetta.problem("node", "remove", "gpu", "--yes", status=4)["code"] == "wrong_state"
    vendetta("workspace", "remove", web, "--yes", "--force")
    vendetta("node", "remove", "gpu", "--yes")
    assert vendetta.json("node", "list") == []


def test_names_are_unique_and_errors_tell_what_to_do(vendetta: Vendetta, web: str) -> None:
    again = ("workspace", "create", web, "--provider", "docker", "--image", "busybox", "--node", "gpu")
    assert vendetta.problem(*again, status=4)["code"] == "name_taken"
    absent = ("workspace", "create", "other", "--provider", "docker", "--image", "127.0.0.1:9/none", "--node", "gpu")
    missing = vendetta.problem(*absent, status=1)
    assert missing["code"] == "image_not_found"
    assert missing["hint"]
    assert [workspace["name"] for workspace in vendetta.json("workspace", "list")] == [web]
    assert vendetta.problem("workspace", "start", "nobody", status=3)["code"] == "workspace_not_found"
    assert vendetta.problem("node", "status", "gpuu", status=3)["hint"]


def test_several_at_once_and_placement(vendetta: Vendetta, node: str, name: str) -> None:
    names = [f"{name}-{number}" for number in range(3)]
    image = ("--provider", "docker", "--image", "busybox")
    for each in names:
        vendetta("workspace", "create", each, *image, "--label", "zone=lab", "--no-start")
    vendetta("workspace", "start", *names)
    assert {workspace["state"] for workspace in vendetta.json("workspace", "list")} == {"running"}
    assert vendetta("workspace", "list", "-o", "name").stdout.split() == names
    vendetta("workspace", "remove", *names, "--yes", "--force")


def test_what_happened_is_told(vendetta: Vendetta, web: str) -> None:
    kinds = [event["kind"] for event in vendetta.json("events")]
    assert {"node.added", "node.connected", "workspace.running"} <= set(kinds)
    operations = vendetta.json("operation", "list")
    assert [(one["kind"], one["state"]) for one in operations] == [("workspace.create", "succeeded")]
