"""What one replica watched another watches, however the first one went; and who comes back late says nothing."""

import time

import httpx
import pytest
from tests.integration.replicas.conftest import QUICK, add_shared
from tests.integration.replicas.servers import (
    Relay,
    Server,
    note_writes,
    running_server,
    wait_for_events,
    wait_until,
    writes_of_others,
)
from tests.integration.ssh.sshd import Sshd

from vendetta.coordination.cluster.membership import LEASE_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.alone]

PROMISED_SECONDS = 15.0
"""Within which another watches what a killed one did."""


def wait_for_all(server: Server, nodes: list[str]) -> None:
    """It watches every node, and is connected to each."""
    wait_until(server.held, lambda held: held == {server.id: len(nodes)})
    wait_until(server.connected, lambda number: number == len(nodes))


def tell(capsys: pytest.CaptureFixture[str], figure: str) -> None:
    with capsys.disabled():
        print(f"\n{figure}")


def check_watches(server: Server, nodes: list[str], sshd: Sshd) -> None:
    """It says of each node that its link is lost, and that it is back."""
    wait_until(server.statuses, lambda told: told == {"connected"})
    before = server.vendetta.last_event()
    sshd.stop()
    wait_for_events(server, before, {("node.connecting", node) for node in nodes})
    sshd.start()
    wait_for_events(server, before, {("node.connected", node) for node in nodes})


def test_nodes_are_shared_out_and_each_is_watched_once(
    servers: tuple[Server, Server], nodes: list[str], sshd: Sshd
) -> None:
    first, second = servers
    held = wait_until(first.held, lambda held: sum(held.values()) == len(nodes) and len(held) == 2)
    assert set(held) == {first.id, second.id}
    assert all(held.values())
    before = first.vendetta.last_event()
    sshd.kill_sessions()
    wait_for_events(second, before, {("node.connected", node) for node in nodes})
    told = [event.subject for event in first.events(before) if event.kind == "node.connecting"]
    assert sorted(told) == sorted(nodes)


def test_a_killed_ones_nodes_are_watched_by_the_other(
    servers: tuple[Server, Server], nodes: list[str], sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = servers
    before = second.vendetta.last_event()
    killed_at = time.monotonic()
    first.kill()
    wait_for_all(second, nodes)
    seconds = time.monotonic() - killed_at
    tell(capsys, f"{len(nodes)} nodes watched by another {seconds:.1f} s after a kill -9")
    assert seconds < PROMISED_SECONDS
    # that they changed hands is no news of the nodes
    assert not [event for event in second.events(before) if event.kind.startswith("node.")]
    check_watches(second, nodes, sshd)


def test_one_that_stops_hands_over_at_once(
    servers: tuple[Server, Server], nodes: list[str], sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = servers
    before = second.vendetta.last_event()
    stopped_at = time.monotonic()
    first.stop()
    wait_for_all(second, nodes)
    tell(
        capsys,
        f"{len(nodes)} nodes watched by another {time.monotonic() - stopped_at:.1f} s after a stop was asked for",
    )
    assert not [event for event in second.events(before) if event.kind.startswith("node.")]
    check_watches(second, nodes, sshd)


def test_one_that_was_paused_for_longer_than_its_lease_writes_nothing_when_it_wakes(
    servers: tuple[Server, Server], nodes: list[str], sshd: Sshd, database_url: str
) -> None:
    """It wakes to connections that broke meanwhile, of nodes that are another's by now."""
    first, second = servers
    note_writes(database_url)
    with first.paused():
        time.sleep(LEASE_SECONDS)
        wait_for_all(second, nodes)
        sshd.kill_sessions()
    wait_until(second.held, lambda held: len(held) == 2 and all(held.values()) and sum(held.values()) == len(nodes))
    assert "place among the replicas lost" in first.log()
    check_watches(second, nodes, sshd)
    assert writes_of_others(database_url, first) == []
    assert writes_of_others(database_url, second) == []


def test_one_that_is_cut_from_the_database_stops_watching_and_comes_back(database_url: str, sshd: Sshd) -> None:
    relay = Relay(database_url)
    with (
        running_server("first", relay.url, **QUICK) as first,
        running_server("second", database_url, **QUICK) as second,
        httpx.Client(transport=first.transport(), base_url="http://server") as ready,
    ):
        wait_until(second.held, lambda held: len(held) == 2)
        nodes = add_shared([second], sshd)
        assert ready.get("/readyz").status_code == 200
        relay.cut()
        wait_for_all(second, nodes)
        wait_until(first.log, lambda log: "place among the replicas lost" in log)
        assert ready.get("/readyz").status_code == 503
        assert ready.get("/healthz").status_code == 200
        check_watches(second, nodes, sshd)
        relay.mend()
        wait_until(second.held, lambda held: len(held) == 2 and all(held.values()) and sum(held.values()) == len(nodes))
        assert ready.get("/readyz").status_code == 200
        check_watches(second, nodes, sshd)
    relay.close()


def test_after_both_were_killed_the_next_one_watches_all(
    servers: tuple[Server, Server], nodes: list[str], sshd: Sshd
) -> None:
    first, _ = servers
    for server in servers:
        server.kill()
    first.start()
    wait_for_all(first, nodes)
    check_watches(first, nodes, sshd)
