"""Whichever replica is asked, the answer is the same, and so is what becomes of it."""

import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.integration.replicas.conftest import add
from tests.integration.replicas.servers import Server, wait_until
from tests.integration.ssh.sshd import Sshd

pytestmark = [pytest.mark.root, pytest.mark.alone]

Pair = tuple[Server, Server]


def owner_and_other(servers: Pair, node: str) -> Pair:
    """Found by who is connected to it: of one node the other one has no connection of its own."""
    first, second = servers
    wait_until(lambda: first.connected() + second.connected(), lambda number: number > 0)
    held = wait_until(first.held, lambda held: sum(held.values()) == 1)
    return (first, second) if held[first.id] else (second, first)


@pytest.fixture
def node(servers: Pair, sshd: Sshd) -> str:
    add(servers[0], "gpu", sshd)
    return "gpu"


def status_of(server: Server, node: str) -> str:
    return str(server.vendetta.json("node", "status", node)["status"])


def test_a_node_is_added_at_one_and_used_at_both(servers: Pair, node: str) -> None:
    for server in servers:
        assert status_of(server, node) == "connected"
        assert server.vendetta("node", "exec", node, "--", "echo", "here").stdout == "here\n"


def test_what_is_said_at_one_of_a_nodes_link_is_done_by_its_watcher(servers: Pair, node: str) -> None:
    watcher, other = owner_and_other(servers, node)
    other.vendetta("node", "disconnect", node)
    assert status_of(watcher, node) == "unknown"
    wait_until(watcher.connected, lambda number: number == 0)
    assert "disconnected by" in watcher.vendetta.json("node", "status", node)["reason"]
    other.vendetta("node", "connect", node)
    assert status_of(other, node) == "connected"
    wait_until(watcher.connected, lambda number: number == 1)


def test_a_node_is_removed_at_one_and_gone_at_both(servers: Pair, node: str, sshd: Sshd) -> None:
    watcher, other = owner_and_other(servers, node)
    other.vendetta("node", "remove", node, "--yes")
    assert watcher.vendetta.json("node", "list") == []
    wait_until(watcher.connected, lambda number: number == 0)
    # a machine of that name with another key is a new one, at both
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    add(other, node, sshd)
    for server in servers:
        assert server.vendetta("node", "exec", node, "--", "echo", "here").stdout == "here\n"


def test_a_changed_host_key_is_trusted_at_one_and_known_at_both(servers: Pair, node: str, sshd: Sshd) -> None:
    watcher, other = owner_and_other(servers, node)
    sshd.stop()
    sshd.new_host_key()
    sshd.start()
    wait_until(lambda: status_of(watcher, node), lambda status: status == "error")
    other.vendetta("node", "trust", node, "--host-key", sshd.fingerprint)
    assert status_of(other, node) == "connected"
    assert watcher.vendetta("node", "exec", node, "--", "echo", "here").stdout == "here\n"


def test_an_event_of_one_reaches_who_watches_at_the_other(servers: Pair, sshd: Sshd) -> None:
    first, second = servers
    since = second.vendetta.last_event()
    with second.vendetta.client() as client, closing(client.events.watch(since=since)) as events:
        add(first, "gpu", sshd)
        assert any((event.kind, event.subject) == ("node.added", "gpu") for event in events)


def test_the_servers_own_key_is_one(servers: Pair, sshd: Sshd) -> None:
    first, second = servers
    made = first.vendetta.json("key", "generate")
    (known,) = second.vendetta.json("key", "list")
    assert known["fingerprint"] == made["fingerprint"]
    file = Path(known["path"])
    assert file.parent == second.vendetta.home / "v" / "keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert second.vendetta.problem("key", "generate", status=4)["code"] == "conflict"


def test_a_key_that_was_rotated_at_one_lets_both_in(servers: Pair, sshd: Sshd) -> None:
    first, second = servers
    sshd.authorize(first.vendetta.json("key", "generate")["public_key"] + "\n")
    for name in ("gpu", "lab"):
        first.vendetta("node", "add", name, f"{sshd.user}@127.0.0.1:{sshd.port}", "--accept-new")
    before = {key["fingerprint"] for key in second.vendetta.json("key", "list")}
    assert first.vendetta.json("key", "rotate")["finished"]
    (after,) = second.vendetta.json("key", "list")
    assert after["fingerprint"] not in before
    for name in ("gpu", "lab"):
        for server in servers:
            server.vendetta("node", "disconnect", name)
            assert server.vendetta("node", "exec", name, "--", "echo", "here").stdout == "here\n"


def test_a_key_of_a_home_from_before_is_put_aside_and_not_lost(servers: Pair, sshd: Sshd) -> None:
    first, second = servers
    first.vendetta.json("key", "generate")
    second.stop()
    keys = second.vendetta.home / "v" / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    (keys / "id_ed25519").write_text("another")
    second.start()
    assert (keys / "id_ed25519").read_text() == (first.vendetta.home / "v" / "keys" / "id_ed25519").read_text()
    (aside,) = (keys / "replaced").iterdir()
    assert aside.read_text() == "another"


def test_a_workspace_is_made_at_one_and_entered_at_the_other(servers: Pair, workspace: str) -> None:
    first, second = servers
    assert second.vendetta("workspace", "exec", workspace, "--", "echo", "here").stdout == "here\n"
    second.vendetta("workspace", "stop", workspace)
    assert first.vendetta.json("workspace", "status", workspace)["state"] == "stopped"


def test_a_workspace_notices_nothing_of_its_watchers_end(servers: Pair, workspace: str) -> None:
    watcher, other = owner_and_other(servers, "dock")
    boot = ("workspace", "exec", workspace, "--", "stat", "-c", "%Y", "/proc/1")
    started = other.vendetta(*boot).stdout
    before = other.vendetta.last_event()
    watcher.kill()
    wait_until(other.held, lambda held: held == {other.id: 1})
    wait_until(other.connected, lambda number: number == 1)
    assert other.vendetta(*boot).stdout == started
    assert other.vendetta.json("workspace", "status", workspace)["state"] == "running"
    assert not [event for event in other.events(before) if event.kind.startswith("workspace.")]
