"""A server that is killed, again and again, and each time followed by another one on the same home."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.integration.operations import killing
from tests.preloaded import preloaded
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
        self._process.wait()
        self._process.close()

    def _start(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            function = f"{killing.__name__}:run"
            self._process = preloaded.fork(function, str(self.home), self._provider, files=[theirs.fileno()])
        self._pipe: Connection = ours
        self.told: dict[str, Any] = self._receive()

    def _receive(self) -> Any:
        """Raises `EOFError` once it is dead."""
        assert self._pipe.poll(PATIENCE_SECONDS), "it neither answered nor died"
        return self._pipe.recv()

    def _follow(self) -> None:
        self._process.wait(PATIENCE_SECONDS)
        self._process.close()
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
