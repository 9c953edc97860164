"""Keys from the first password to their rotation, as somebody types it."""

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


def add_by_password(vendetta: Vendetta, name: str, node: Node) -> None:
    address = f"{node.user}@{node.address}"
    options = ("--accept-new", "--password-stdin", "--install-key")
    vendetta("node", "add", name, address, *options, input=f"{node.password}\n")


def test_from_a_password_to_a_rotated_key(vendetta: Vendetta, make_node: NodeFactory) -> None:
    vendetta.environment["VENDETTA_CONNECTION_TIMEOUT"] = "3"  # for the node that will be gone
    nodes = {name: make_node() for name in ("a", "b")}
    before = {name: node.authorized_keys() for name, node in nodes.items()}
    for name, node in nodes.items():
        add_by_password(vendetta, name, node)
    [old] = vendetta.json("key", "list")
    for name, node in nodes.items():
        assert node.authorized_keys() == f"{before[name]}{old['public_key']}\n"
    vendetta("key", "install", "a", "--restrict", "--from", "10.0.0.0/8")
    options = 'restrict,port-forwarding,pty,from="10.0.0.0/8"'
    assert nodes["a"].authorized_keys() == f"{before['a']}{options} {old['public_key']}\n"
    refused = vendetta.problem("key", "install", "a", "--from", "192.0.2.0/24", status=6)
    assert refused["code"] == "auth_failed"
    assert nodes["a"].authorized_keys() == f"{before['a']}{options} {old['public_key']}\n"
    assert vendetta("node", "exec", "a", "--", "echo", "a!b").stdout == "a!b\n"

    nodes["b"].kill()
    done = vendetta("key", "rotate", status=1)
    assert "a has the new key" in done.stderr
    assert "error: b: " in done.stderr
    assert "Old key:  kept, for b" in done.stdout
    nodes["b"].boot()
    rotation = vendetta.json("key", "rotate")
    assert (rotation["finished"], rotation["left"]) == (True, [])
    [new] = vendetta.json("key", "list")
    assert new["fingerprint"] == rotation["key"]["fingerprint"] != old["fingerprint"]
    assert nodes["a"].authorized_keys() == f"{before['a']}{options} {new['public_key']}\n"
    assert nodes["b"].authorized_keys() == f"{before['b']}{new['public_key']}\n"
    for name in nodes:
        vendetta("node", "disconnect", name)
        vendetta("node", "connect", name)
    kinds = [operation["kind"] for operation in vendetta.json("operation", "list")]
    assert kinds == ["key.rotate", "key.rotate"]


def test_an_install_that_is_not_let_in_adds_no_node(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node()
    node.run(["chmod", "777", f"/home/{node.user}"])
    before = node.authorized_keys()
    address = f"{node.user}@{node.address}"
    options = ("--accept-new", "--password-stdin", "--install-key")
    refused = vendetta("node", "add", "a", address, *options, input=f"{node.password}\n", status=6)
    assert "chmod go-w" in refused.stderr
    assert node.authorized_keys() == before
    assert vendetta.json("node", "list") == []
