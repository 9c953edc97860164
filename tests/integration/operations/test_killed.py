"""The server is killed at every boundary of every kind of operation's steps, and at random moments, on a real engine.

Each kill is followed by a start, after which the operation has ended as it would have: one instance, and no orphan.
"""

import multiprocessing
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.integration.operations import killing
from tests.testbed import Node

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 60.0
RANDOM_KILLS = 35
LONGEST_SECONDS = 0.8
"""About what an operation takes here: later kills would hit a server at rest."""
LIFE = ("create", "pause", "resume", "exec", "snapshot", "remove-snapshot", "restart", "stop", "start", "remove")
STATES = {"pause": "stopped", "stop": "stopped"}


class Victim:
    """One server after the other, on one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kills = 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([killing.__name__, "dbos"])
        self.start()

    def start(self) -> None:
        ours, theirs = self._context.Pipe()
        self.process = self._context.Process(target=killing.run, args=(str(self.home), theirs))
        self.process.start()
        theirs.close()
        self.pipe: Connection = ours
        self.told: dict[str, Any] = self.receive()

    def receive(self) -> Any:
        """Raises `EOFError` once it is dead."""
        assert self.pipe.poll(PATIENCE_SECONDS), "it neither answered nor died"
        return self.pipe.recv()

    def add(self, **node: Any) -> None:
        self.pipe.send(("add", node, None))
        self.told = self.receive()

    def do(self, verb: str, name: str, fatal: int | None = None) -> bool:
        """Whether it was killed on the way; it runs again then, and has ended what it was at."""
        try:
            self.pipe.send((verb, name, fatal))
            self.receive()
            self.told = self.receive()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._reap()
            return True
        return False

    def kill_within(self, verb: str, name: str, seconds: float) -> None:
        self.pipe.send((verb, name, None))
        time.sleep(seconds)
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.join(PATIENCE_SECONDS)
        self.kills += 1
        self.start()

    def end(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def victim(node: Node) -> Iterator[Victim]:
    with TemporaryDirectory(prefix="vdt-", dir="/var/tmp") as home:
        victim = Victim(Path(home))
        try:
            victim.add(name="gpu", address=node.address, port=node.port, user=node.user, identity=str(node.key))
            yield victim
        finally:
            victim.end()


def check(victim: Victim, verb: str, name: str) -> None:
    """As if nobody had been killed; a program that may have run once is not run again, and said to be unknown."""
    _, state, code = victim.told["newest"]
    assert state == "succeeded" or (verb, code) == ("exec", "outcome_unknown"), victim.told
    there = {} if verb == "remove" else {name: STATES.get(verb, "running")}
    assert victim.told["workspaces"] == there, victim.told
    instances = [one for one in victim.told["belongings"] if one.startswith("instance")]
    assert instances == [f"instance {one}" for one in there], victim.told


def test_killed_at_every_boundary_of_every_kind(docker_node: Node) -> None:
    name = f"killed-{uuid.uuid4().hex[:8]}"
    with victim(docker_node) as server:
        for verb in LIFE:
            fatal = 1
            while server.do(verb, name, fatal):
                check(server, verb, name)
                if verb in ("create", "remove"):
                    # there is nothing to do a second time: it is undone first
                    server.do("remove" if verb == "create" else "create", name)
                fatal += 1
            check(server, verb, name)
            assert fatal > 3, f"{verb} has no boundary"
        assert server.told["belongings"] == []
        print(f"killed {server.kills} times")


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_killed_at_random_moments(docker_node: Node, seed: int) -> None:
    name = f"killed-{uuid.uuid4().hex[:8]}"
    chance = random.Random(seed)
    with victim(docker_node) as server:
        for _ in range(RANDOM_KILLS):
            there = bool(server.told["workspaces"])
            verb = chance.choice(LIFE[1:]) if there and chance.random() < 0.8 else ("remove" if there else "create")
            server.kill_within(verb, name, chance.uniform(0.0, LONGEST_SECONDS))
            workspaces = server.told["workspaces"]
            assert not {"creating", "starting", "stopping", "removing", "pending"} & set(workspaces.values()), seed
            instances = [one for one in server.told["belongings"] if one.startswith("instance")]
            assert instances == [f"instance {one}" for one in workspaces], (seed, server.told)
        if server.told["workspaces"]:
            server.do("remove", name)
        assert server.told["belongings"] == [], seed
        assert server.kills == RANDOM_KILLS
