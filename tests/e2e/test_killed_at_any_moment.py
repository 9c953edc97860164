"""The server is killed at random moments of its work, again and again: what it said is there, and only that."""

import random
import subprocess
from contextlib import suppress

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root

ROUNDS = 5
LONGEST_SECONDS = 1.5
"""About what a change takes here as a whole process: later kills would hit a server at rest."""


@pytest.mark.parametrize("seed", [11, pytest.param(23, marks=pytest.mark.thorough)])
def test_killing_the_server_loses_nothing_that_was_reported(
    vendetta: Vendetta, docker_node: Node, name: str, seed: int
) -> None:
    chance = random.Random(seed)
    vendetta.add_node("gpu", docker_node)
    created, removed = set[str](), set[str]()
    for number in range(ROUNDS):
        change_and_kill(vendetta, chance, f"{name}-{number}", created, removed)
    settle(vendetta)

    workspaces = {workspace["name"]: workspace["state"] for workspace in vendetta.json("workspace", "list")}
    instances = instances_of(vendetta)
    assert [node["name"] for node in vendetta.json("node", "list")] == ["gpu"]
    assert created - removed <= set(workspaces), vendetta.json("operation", "list")
    assert not removed & set(workspaces)
    assert set(workspaces.values()) <= {"running"}
    assert instances == sorted(workspaces), "half a workspace, or one that nobody knows of"
    for known in workspaces:
        vendetta("workspace", "remove", known, "--force", "--yes")
    assert instances_of(vendetta) == []


def change_and_kill(vendetta: Vendetta, chance: random.Random, name: str, created: set[str], removed: set[str]) -> None:
    """One change whose server is killed at a random moment of it. What the command reported is remembered."""
    doomed = chance.choice(sorted(created - removed)) if created - removed and chance.random() < 0.4 else None
    if doomed:
        change: tuple[str, ...] = ("workspace", "remove", doomed, "--force", "--yes")
    else:
        change = ("workspace", "create", name, "--provider", "docker", "--image", "busybox", "--node", "gpu")
    vendetta("server", "start")
    pid = vendetta.server_pid()
    with vendetta.running(*change) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.0, LONGEST_SECONDS))
        vendetta.kill_server(pid)
        if process.wait(60) == 0:
            (removed.add(doomed) if doomed else created.add(name))


def settle(vendetta: Vendetta) -> None:
    """Every operation has ended, whoever began it."""
    for operation in vendetta.json("operation", "list"):
        vendetta("operation", "wait", operation["id"], status=None)


def instances_of(vendetta: Vendetta) -> list[str]:
    """Ours on the node, as its engine tells."""
    found = vendetta.json("execute", "gpu", "docker", "list")["metadata"]["instances"]
    return sorted(instance["name"] for instance in found)
