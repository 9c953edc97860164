"""A server that is stopped for a whole minute in the middle of everything, and wakes: it does and says nothing more."""

import json
import time

import pytest
from tests.integration.replicas.servers import Server, note_writes, wait_until, writes_of_others
from tests.integration.replicas.test_takeover import check_watches, wait_for_all
from tests.integration.ssh.sshd import Sshd

from vendetta.models import FINISHED

pytestmark = [pytest.mark.root, pytest.mark.timeout(400), pytest.mark.alone]

PAUSED_SECONDS = 60.0
"""What the promise is about: really so long in the thorough part, else only until everything has ended elsewhere."""
STUBBORN = "sh -c 'trap : TERM; while true; do sleep 1; done'"
PATIENT_SECONDS = 20.0
"""How long its stop takes: longer than a lease."""


@pytest.mark.parametrize("least", [0.0, pytest.param(PAUSED_SECONDS, marks=pytest.mark.thorough)])
def test_one_that_was_paused_for_a_minute_writes_nothing_and_runs_nothing_again(
    servers: tuple[Server, Server], nodes: list[str], workspace: str, sshd: Sshd, database_url: str, least: float
) -> None:
    first, second = servers
    stubborn = f"{workspace}-s"
    second.vendetta.create(stubborn, "--command", STUBBORN, node="dock")
    config = json.dumps({"argv": ["sh", "-c", "echo ran >> /ran; sleep 30"]})
    note_writes(database_url)
    run = first.vendetta.json(
        "execute", "dock", "docker", "exec", "--workspace", workspace, "--config", config, "--async"
    )
    second.vendetta("workspace", "exec", workspace, "--", "sh", "-c", "until [ -s /ran ]; do sleep 0.1; done")
    with first.vendetta.client() as client:
        stop = client.workspaces.stop(stubborn, timeout_seconds=PATIENT_SECONDS)
    second.vendetta.wait_for_event("operation.started", stop.id)
    paused_at = time.monotonic()
    with first.paused(), second.vendetta.client() as client:
        wait_for_all(second, [*nodes, "dock"])
        ended = client.operations.wait(run["id"], PAUSED_SECONDS)
        # nobody knows what came of it: so it isn't run again
        assert (ended.state, ended.error and ended.error.code) == ("failed", "outcome_unknown")
        assert client.operations.wait(stop.id, PAUSED_SECONDS).state == "succeeded"
        sshd.kill_sessions()
        time.sleep(max(0.0, paused_at + least - time.monotonic()))
    count = len(nodes) + 1
    wait_until(second.held, lambda held: len(held) == 2 and all(held.values()) and sum(held.values()) == count)
    assert "place among the replicas lost" in first.log()
    check_watches(second, nodes, sshd)
    assert writes_of_others(database_url, first) == []
    assert writes_of_others(database_url, second) == []
    with first.vendetta.client() as client:
        assert client.operations.get(run["id"]) == ended
        told = [event.kind for event in client.events.list() if event.subject == stop.id and event.actor != "server"]
        assert [kind for kind in told if kind.removeprefix("operation.") in FINISHED] == ["operation.succeeded"]
        assert client.workspaces.get(stubborn).state == "stopped"
    assert second.vendetta("workspace", "exec", workspace, "--", "cat", "/ran").stdout == "ran\n"
    second.vendetta("workspace", "remove", stubborn, "--yes", "--force")
