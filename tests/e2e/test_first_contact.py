"""Adding a node that can't be trusted, reached or used: each failure has its code, its exit status and a hint."""

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta
from tests.testbed import Node, Registry

pytestmark = pytest.mark.root

CREATE = ("workspace", "create", "w", "--provider", "docker", "--image", "x", "--node", "a")


def target(node: Node) -> tuple[str, ...]:
    return (f"{node.user}@{node.address}", "--identity", str(node.key))


def test_an_unknown_host_key_is_refused_and_shown(vendetta: Vendetta, docker_node: Node) -> None:
    refused = vendetta.problem("node", "add", "a", *target(docker_node), status=6)
    assert refused["code"] == "host_key_unknown"
    assert refused["details"]["fingerprint"] == docker_node.host_key_fingerprint
    assert vendetta.json("node", "list") == []
    vendetta("node", "add", "a", *target(docker_node), "--host-key", docker_node.host_key_fingerprint)
    wrong = "SHA256:" + "A" * 43
    assert vendetta.problem("node", "add", "b", *target(docker_node), "--host-key", wrong, status=6)


def test_a_changed_host_key_stops_everything_until_it_is_trusted(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node()
    before = node.host_key_fingerprint
    vendetta("node", "add", "a", *target(node), "--accept-new")
    vendetta("node", "disconnect", "a")
    node.change_host_key()
    changed = vendetta.problem("node", "connect", "a", status=6)
    assert changed["code"] == "host_key_changed"
    assert changed["details"]["expected"]["fingerprint"] == before
    assert changed["details"]["offered"]["fingerprint"] == node.host_key_fingerprint
    assert vendetta.json("node", "status", "a")["status"] == "error"
    vendetta("node", "exec", "a", "--", "true", status=6)
    assert vendetta.problem("node", "trust", "a", status=6)["details"]["fingerprint"] == node.host_key_fingerprint
    vendetta("node", "trust", "a", "--host-key", node.host_key_fingerprint)
    assert vendetta.json("node", "status", "a")["status"] == "connected"


def test_a_port_where_nobody_listens(vendetta: Vendetta, docker_node: Node) -> None:
    refused = vendetta.problem("node", "add", "a", f"dev@{docker_node.address}:9", "--accept-new", status=5)
    assert refused["code"] == "connect_failed"
    assert refused["hint"]
    assert vendetta.json("node", "list") == []


def test_a_name_that_does_not_resolve(vendetta: Vendetta) -> None:
    assert vendetta.problem("node", "add", "a", "nowhere.invalid", "--accept-new", status=5)["hint"]


def test_a_key_that_the_node_does_not_know(vendetta: Vendetta, docker_node: Node) -> None:
    refused = vendetta.problem("node", "add", "a", f"dev@{docker_node.address}", "--accept-new", status=6)
    assert refused["code"] == "auth_failed"
    assert "--install-key" in refused["hint"] or "authorized_keys" in refused["hint"]


def test_a_password_installs_the_key_for_good(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node()
    argv = ("node", "add", "a", f"{node.user}@{node.address}", "--accept-new", "--password-stdin", "--install-key")
    vendetta(*argv, input=f"{node.password}\n")
    vendetta("node", "disconnect", "a")
    vendetta("node", "connect", "a")
    assert vendetta.json("node", "status", "a")["status"] == "connected"
    vendetta("key", "install", "a")
    (keys,) = [line for line in node.authorized_keys().splitlines() if "vendetta" in line]
    assert keys.startswith("ssh-ed25519 ")


def test_a_node_without_docker_is_a_node(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node()
    vendetta("node", "add", "a", *target(node), "--accept-new")
    assert vendetta.json("node", "status", "a")["providers"]["docker"]["state"] == "undetected"
    refused = vendetta.problem(*CREATE, status=1)
    assert refused["code"] == "engine_unavailable"
    assert refused["hint"]


def test_a_socket_that_this_user_may_not_use(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False)
    vendetta("node", "add", "a", *target(node), "--accept-new")
    found = vendetta.json("node", "status", "a")["providers"]["docker"]
    assert found["state"] == "unhealthy"
    refused = vendetta.problem(*CREATE, status=6)
    assert refused["code"] == "engine_forbidden"
    assert "group" in refused["hint"]


def test_a_full_disk_is_told_and_leaves_nothing(vendetta: Vendetta, make_node: NodeFactory, registry: Registry) -> None:
    node = make_node(docker=True, docker_disk_bytes=40 * 2**20)
    vendetta.add_node("small", node)
    image = registry.image("large", bytes_added=60 * 2**20)
    create = ("workspace", "create", "w", "--provider", "docker", "--image", image, "--node", "small")
    refused = vendetta.problem(*create, status=1)
    assert refused["code"] == "out_of_resources"
    assert "disk" in refused["hint"]
    assert vendetta.json("workspace", "list") == []


def test_no_connect_only_records(vendetta: Vendetta) -> None:
    vendetta("node", "add", "far", "me@[2001:db8::1]:2222", "--no-connect", "--label", "a=b")
    node = vendetta.json("node", "status", "far")
    assert (node["status"], node["address"], node["port"], node["user"]) == ("unknown", "2001:db8::1", 2222, "me")


def test_one_address_with_two_ports_is_two_nodes(vendetta: Vendetta) -> None:
    vendetta("node", "add", "a", "host:2201", "--no-connect")
    vendetta("node", "add", "b", "host:2202", "--no-connect")
    assert vendetta.problem("node", "add", "a", "host:2203", "--no-connect", status=4)["code"] == "name_taken"
    assert [node["port"] for node in vendetta.json("node", "list")] == [2201, 2202]


@pytest.mark.parametrize(
    "argv",
    [
        ("node", "add", "Bad_Name", "host"),
        ("node", "add", "a", "host:99999"),
        ("node", "add", "a", "ssh://host:x"),
        ("node", "add", "a", "[::1"),
        ("node", "add", "a", "host", "--port", "0"),
        ("node", "add", "a", "host", "--host-key", "MD5:aa"),
        ("node", "add", "a", "host", "--label", "nonsense"),
        ("node", "add", "a", "host", "--frobnicate"),
        ("workspace", "create", "w", "--provider", "docker", "--image", "x", "--memory", "2X"),
        ("workspace", "create", "w", "--provider", "docker", "--image", "x", "--mount", "a"),
        ("workspace", "create", "w", "--provider", "nope", "--image", "x"),
        ("workspace", "create", "W", "--provider", "docker", "--image", "x"),
        ("workspace", "list", "--state", "nonsense"),
        ("execute", "a"),
        ("frobnicate",),
    ],
)
def test_bad_input_is_exit_2_and_says_what_was_wrong(vendetta: Vendetta, argv: tuple[str, ...]) -> None:
    assert vendetta(*argv, status=2).stderr.strip()
