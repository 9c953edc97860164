"""What people have open while their server stops, as in a rolling restart: it ends, and says why and what to do."""

import os
import pty
import re
import select
import socket
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.harness import PATIENCE_SECONDS
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.servers import Server

pytestmark = [pytest.mark.root, pytest.mark.timeout(240), pytest.mark.alone]

Pair = tuple[Server, Server]
REASON = "error: the server is stopping\nhint: "
UNREACHABLE = 5


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (("workspace", "exec", "{workspace}", "--", "sh", "-c", "echo up; sleep 60"), "Run it again once a server"),
        (("node", "exec", "dock", "--", "sh", "-c", "echo up; sleep 60"), "Run it again once a server"),
        (("workspace", "logs", "-f", "{workspace}"), "Ask again: "),
    ],
    ids=["exec", "node-exec", "logs"],
)
def test_it_says_that_its_server_stops(
    servers: Pair, balancer: Balancer, workspace: str, argv: tuple[str, ...], hint: str
) -> None:
    first, second = servers
    argv = tuple(word.format(workspace=workspace) for word in ("--server", balancer.address, *argv))
    second.vendetta("workspace", "exec", workspace, "--", "sh", "-c", "echo up > /proc/1/fd/1")
    with first.vendetta.running(*argv) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "up\n"
        first.stop()
        assert process.stderr.read().startswith(REASON + hint)
        assert process.wait(PATIENCE_SECONDS) == UNREACHABLE
    # and so it is: the next one that answers does it
    with first.vendetta.running(*argv) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"


def test_a_shell_says_that_its_server_stops_and_gives_the_terminal_back(servers: Pair, workspace: str) -> None:
    first, _ = servers
    with on_a_terminal(first, "workspace", "shell", workspace) as (process, terminal, before):
        read_until(terminal, "/ # ")
        first.stop()
        read_until(terminal, "error: the server is stopping\r\nhint: Run it again once a server answers")
        assert process.wait(PATIENCE_SECONDS) == UNREACHABLE
        assert termios.tcgetattr(terminal) == before


def test_a_forward_says_that_its_server_stops_and_goes_on_with_the_next(
    servers: Pair, balancer: Balancer, workspace: str
) -> None:
    first, second = servers
    echo = ("sh", "-c", "while true; do nc -l -p 8000 -e cat; done </dev/null >/dev/null 2>&1 &")
    second.vendetta("workspace", "exec", workspace, "--", *echo)
    with first.vendetta.running("--server", balancer.address, "workspace", "forward", workspace, "0:8000") as forward:
        assert forward.stdout
        assert forward.stderr
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found
        with connected(int(found[1])) as open_before:
            first.stop()
            assert open_before.recv(10) == b""
            assert forward.stderr.readline() == "error: port 8000: the server is stopping\n"
            assert forward.stderr.readline().startswith("hint: Connect again")
        with connected(int(found[1])):
            assert forward.poll() is None


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """To what sends back what it gets, and does: whoever listens there has one caller at a time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as sock:
            sock.sendall(b"up")
            if sock.recv(2) == b"up":
                yield sock
                return
        assert time.monotonic() < deadline


@contextmanager
def on_a_terminal(server: Server, *argv: str) -> "Iterator[tuple[subprocess.Popen[bytes], int, object]]":
    """A command, the other side of its terminal, and how that is set without it."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(ours)
    process = subprocess.Popen(
        server.vendetta.argv(*argv), env=server.vendetta.env(), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield process, ours, before
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, words: str) -> None:
    """Returns once they are shown."""
    shown = ""
    while words not in shown:
        assert select.select([terminal], [], [], PATIENCE_SECONDS)[0], shown
        shown += os.read(terminal, 65536).decode()
