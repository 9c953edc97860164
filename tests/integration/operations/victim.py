"""A server that is killed, again and again, and each time followed by another one on the same home."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.forkserver import _forkserver  # type: ignore[attr-defined]
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.integration.operations import killing
from tests.testbed import Node

PATIENCE_SECONDS = 60.0

Given = Mapping[str, Any]
NOTHING: Given = {}


class Victim:
    """`told` is what the newest one has found when it was done with what it was told, or with what was left to it."""

    def __init__(self, home: Path, provider: str | None) -> None:
        self.home = home
        self.kills = 0
        self._provider = provider
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([killing.__name__, "dbos"])
        self._start()

    def add(self, name: str, node: Node) -> None:
        login = {"address": node.address, "port": node.port, "user": node.user, "identity": str(node.key)}
        self._pipe.send(("add", name, login, None))
        self.told = self._receive()

    def do(self, kind: str, target: str, given: Given = NOTHING, fatal: int | None = None) -> bool:
        """Whether it was killed on the way; another one runs then, and has ended what that one was at."""
        try:
            self._pipe.send((kind, target, dict(given), fatal))
            self._receive()
            self.told = self._receive()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._follow()
            return True
        return False

    def kill_within(self, seconds: float, kind: str, target: str, given: Given = NOTHING) -> None:
        self._pipe.send((kind, target, dict(given), None))
        time.sleep(seconds)
        self._process.kill()
        self._follow()

    def kill_everywhere(self, kind: str, target: str, given: Given = NOTHING) -> Iterator[Mapping[str, str]]:
        """At one boundary after the other of an operation, until it comes through; each time, what came of it.

        By kind, as it may ask for others: the code of the error that it failed with, or its state.
        """
        fatal, killed = 1, True
        while killed:
            before = self.told["operations"].keys()
            killed = self.do(kind, target, given, fatal)
            ended = [self.told["operations"][new] for new in self.told["operations"].keys() - before]
            outcomes = {ended_kind: code or state for ended_kind, state, code in ended}
            assert len(outcomes) == len(ended), f"something was asked for twice: {ended}"
            yield outcomes
            fatal += 1
        assert fatal > 5, f"{kind} has no boundary"

    def end(self) -> None:
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        try:
            self._fork()
        except ConnectionRefusedError:
            # Python's own server of forks can die of a caller that it doesn't expect, and is started anew once it has
            os.waitid(os.P_PID, _forkserver._forkserver_pid, os.WEXITED | os.WNOWAIT)  # type: ignore[attr-defined]
            self._fork()

    def _fork(self) -> None:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=killing.run, args=(str(self.home), self._provider, theirs))
        self._process.start()
        theirs.close()
        self._pipe: Connection = ours
        self.told: dict[str, Any] = self._receive()

    def _receive(self) -> Any:
        """Raises `EOFError` once it is dead."""
        assert self._pipe.poll(PATIENCE_SECONDS), "it neither answered nor died"
        return self._pipe.recv()

    def _follow(self) -> None:
        self._process.join(PATIENCE_SECONDS)
        self.kills += 1
        self._start()


@contextmanager
def victim(nodes: Mapping[str, Node], provider: str | None = "docker") -> Iterator[Victim]:
    """With these nodes, by name. It tells of what the provider holds there."""
    with TemporaryDirectory(prefix="vdt-", dir="/var/tmp") as home:
        victim = Victim(Path(home), provider)
        try:
            for name, node in nodes.items():
                victim.add(name, node)
            yield victim
        finally:
            victim.end()
