"""The product as its users have it: the command line as a process of its own, with a home of its own."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.preloaded import COMMAND, preloaded
from tests.testbed import Node

from vendetta.client import Client

PATIENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Done:
    status: int
    stdout: str
    stderr: str


@dataclass
class Vendetta:
    """One user: a home, and the commands they type. Nothing of the real home is read or written."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *argv: str, input: str | None = None, status: int | None = 0) -> Done:
        """Runs a command to its end; `status` is the exit status that it must have (None: any)."""
        process = subprocess.run(
            self.argv(*argv),
            env={**self.env(), COMMAND: "yes"},
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        done = Done(process.returncode, process.stdout, process.stderr)
        assert status is None or done.status == status, f"{' '.join(argv)}: {done}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *argv: str) -> Any:
        return json.loads(self("-o", "json", *argv).stdout)

    def problem(self, *argv: str, status: int) -> dict[str, Any]:
        """The problem object of a command that must fail with `status`."""
        found: dict[str, Any] = json.loads(self("-o", "json", *argv, status=status).stderr)
        return found

    @contextmanager
    def running(self, *argv: str) -> Iterator["subprocess.Popen[str]"]:
        """A command that goes on; ended with the block."""
        process = subprocess.Popen(
            self.argv(*argv),
            env=self.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def argv(self, *argv: str) -> Sequence[str]:
        return [sys.executable, "-m", "vendetta.cli", *argv]

    def env(self) -> Mapping[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("VENDETTA", "SSH", "XDG"))}
        # coverage's own variables may be among the inherited ones: what the server runs counts too, then
        return {
            **inherited,
            **preloaded.environment(),
            "HOME": str(self.home / "user"),
            "VENDETTA_HOME": str(self.home / "v"),
            "NO_COLOR": "1",
            "TERM": "xterm",
            **self.environment,
        }

    def server_pid(self) -> int:
        return int(self.json("server", "status")["pid"])

    def kill_server(self, pid: int | None = None) -> None:
        """As a power cut would. Returns once it is gone. `pid` saves asking for it."""
        pid = pid or self.server_pid()
        watched = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        try:
            assert select.select([watched], [], [], PATIENCE_SECONDS)[0]
        finally:
            os.close(watched)

    def add_node(self, name: str, node: Node, *more: str) -> None:
        identity = ("--identity", str(node.key))
        self("node", "add", name, f"{node.user}@{node.address}:{node.port}", "--accept-new", *identity, *more)

    def create(self, name: str, *more: str, node: str = "gpu", image: str = "busybox") -> None:
        self("workspace", "create", name, "--provider", "docker", "--image", image, "--node", node, *more)

    def client(self) -> Client:
        """Of the server that runs."""
        return Client.at(f"unix://{self.home}/v/server.sock")

    def wait_for_event(self, kind: str, subject: str, *, after: int = 0) -> int:
        """Returns the number of the first such event after number `after`, once it has happened."""
        with self.client() as client:
            for event in client.events.watch(since=after):
                if (event.kind, event.subject) == (kind, subject):
                    return event.sequence
        raise AssertionError("the stream of events ended")

    def wait_for_progress(self, operation: str, words: str) -> None:
        """Returns once the operation says them."""
        with self.client() as client:
            for seen in client.operations.watch(operation):
                if seen.progress and words in seen.progress.message:
                    return
        raise AssertionError(f"it ended without saying {words}")

    def last_event(self) -> int:
        with self.client() as client:
            return max((event.sequence for event in client.events.list()), default=0)


@contextmanager
def fresh_vendetta(**environment: str) -> Iterator[Vendetta]:
    """A user with an empty home; their server is stopped in the end. The path is short: it holds a socket."""
    with TemporaryDirectory(prefix="vdt-", dir="/var/tmp") as home:
        (Path(home) / "user").mkdir()
        vendetta = Vendetta(Path(home), dict(environment))
        try:
            yield vendetta
        finally:
            vendetta("server", "stop", status=None)
