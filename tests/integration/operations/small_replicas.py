"""Replicas in small, each a process of its own on one PostgreSQL, that does what it is told."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORKER = Path(__file__).with_name("replica.py")
PATIENCE_SECONDS = 60.0


class Replica:
    def __init__(self, url: str, notes: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), url, str(notes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ready(self) -> "Replica":
        assert self.read() == "ready"
        return self

    def read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().rstrip("\n")

    def tell(self, line: str) -> None:
        """Its answer is read later."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def say(self, line: str) -> str:
        """Its answer; nothing where it is gone."""
        try:
            self.tell(line)
        except OSError:
            return ""
        return self.read()

    def submit(self, key: str, target: str) -> bool:
        answer = self.say(f"submit {key} {target}")
        return bool(answer) and not answer.endswith(" -")

    def hold(self, key: str, target: str) -> str:
        """The id of an operation whose step goes on until the file of its key is there, beside the notes."""
        return self.say(f"hold {key} {target}").split()[1]

    def pause(self) -> None:
        """It does nothing at all, until it is killed."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def quit(self) -> None:
        self.process.communicate("quit\n", timeout=PATIENCE_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def replicas(url: str, notes: Path, count: int) -> Iterator[list[Replica]]:
    """Started side by side; what is put into the list is ended too."""
    started = [Replica(url, notes) for _ in range(count)]
    try:
        for replica in started:
            replica.ready()
        yield started
    finally:
        for replica in started:
            replica.kill()
