"""The fleet's processes, and what can be done to its nodes."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.testbed.files import generate_key

from .plan import Plan

NODES_OF_A_PROCESS = 500


@dataclass(frozen=True)
class Keys:
    """The same host key for all nodes, and the one that everybody logs in with."""

    folder: Path

    @classmethod
    def generate(cls, folder: Path) -> "Keys":
        folder.mkdir(parents=True)
        for name in ("host", "id"):
            generate_key(folder / name)
        return cls(folder)

    @property
    def identity(self) -> Path:
        return self.folder / "id"

    @property
    def host_key(self) -> str:
        """As it stands in known_hosts: type and key."""
        return " ".join((self.folder / "host.pub").read_text().split()[:2])


class Simulation:
    def __init__(self, processes: "Sequence[subprocess.Popen[str]]") -> None:
        self._processes = processes
        self._turns = [threading.Lock() for _ in processes]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def die(self, node: int, workspace: str) -> float:
        """A container ends by itself. Returns when, by `time.monotonic`; so do the others."""
        return self._tell(node, do="die", workspace=workspace)

    def stop(self, node: int) -> float:
        return self._tell(node, do="stop")

    def silence(self, node: int) -> float:
        return self._tell(node, do="silence")

    def listen(self, node: int) -> float:
        """It is back."""
        return self._tell(node, do="listen")

    def _tell(self, node: int, **order: Any) -> float:
        index = node % len(self._processes)
        process = self._processes[index]
        assert process.stdin is not None
        assert process.stdout is not None
        with self._turns[index]:
            process.stdin.write(json.dumps({"node": node, **order}) + "\n")
            process.stdin.flush()
            at: float = json.loads(process.stdout.readline())["at"]
        return at


@contextmanager
def running(plan: Plan, keys: Keys, port: int, owner: str) -> Iterator[Simulation]:
    """`owner` is the id of the server whose workspaces the nodes hold."""
    count = max(1, min(4, -(-plan.nodes // NODES_OF_A_PROCESS)))
    with ExitStack() as stack:
        processes = [stack.enter_context(_host(plan, keys, port, owner, first, count)) for first in range(count)]
        for process in processes:
            assert process.stdout is not None
            if "ready" not in process.stdout.readline():
                raise RuntimeError("a process of the simulated fleet did not start")
        yield Simulation(processes)


@contextmanager
def _host(plan: Plan, keys: Keys, port: int, owner: str, first: int, step: int) -> "Iterator[subprocess.Popen[str]]":
    words = (keys.folder, port, plan.nodes, plan.workspaces_each, owner, first, step)
    # it goes when this process dies, however it dies: its stdin ends
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet.host", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
