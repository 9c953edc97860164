"""A command meets a local server of another version: a real server, which takes itself for that version."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.e2e.harness import Vendetta, fresh_vendetta

from vendetta import __version__
from vendetta.client.local import is_listening
from vendetta.paths import Paths

PROGRAM = """
import sys, vendetta
vendetta.__version__ = sys.argv[1]
from vendetta.api.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def vendetta() -> Iterator[Vendetta]:
    with fresh_vendetta() as vendetta:
        yield vendetta


@contextmanager
def server_of_version(vendetta: Vendetta, version: str) -> Iterator[int]:
    """Its pid, once it listens. Ended with the block where a command hasn't ended it."""
    home = vendetta.home / "v"
    home.mkdir(mode=0o700, exist_ok=True)
    paths = Paths(config_dir=home, state_dir=home, runtime_dir=home)
    with open(home / "older.log", "w") as log:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, version], env=vendetta.env(), stderr=log, stdout=log)
    try:
        wait_until_listening(process, paths)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait_until_listening(process: "subprocess.Popen[bytes]", paths: Paths) -> None:
    while not is_listening(paths):
        with pytest.raises(subprocess.TimeoutExpired):  # it runs on
            process.wait(0.05)


def running_server(vendetta: Vendetta) -> tuple[str, int]:
    status = vendetta.json("server", "status")
    return status["version"], status["pid"]


def test_an_idle_older_server_is_replaced_by_whichever_command_comes_first(vendetta: Vendetta) -> None:
    with server_of_version(vendetta, "0.0.9") as pid:
        assert running_server(vendetta) == ("0.0.9", pid)  # looking at it changes nothing
        with ExitStack() as stack:
            commands = [stack.enter_context(vendetta.running("node", "list")) for _ in range(3)]
            ended = [(*command.communicate(timeout=90), command.returncode) for command in commands]
        assert [(out.split()[0], status) for out, _, status in ended] == [("NAME", 0)] * 3
        note = f"restarting the server: it is version 0.0.9, this program {__version__}\n"
        assert note in "".join(err for _, err, _ in ended)
        version, new_pid = running_server(vendetta)
        assert (version, new_pid != pid) == (__version__, True)
        done = vendetta("node", "list")
        assert (done.stderr, running_server(vendetta)[1]) == ("", new_pid)


def test_an_older_server_that_is_in_use_is_left_and_named(vendetta: Vendetta) -> None:
    with server_of_version(vendetta, "0.0.9") as pid, vendetta.client() as client:
        with client.http.stream("/events", headers={"Accept": "text/event-stream"}):
            refused = vendetta("node", "list", status=4)
            assert f"is version 0.0.9, older than this program ({__version__}), and 0 operations and 1 requests" in (
                refused.stderr
            )
            assert "vendetta server stop" in refused.stderr
            assert running_server(vendetta) == ("0.0.9", pid)
            vendetta("server", "stop")
        vendetta("node", "list")
        assert running_server(vendetta)[0] == __version__


def test_a_server_from_before_versions_were_written_is_asked(vendetta: Vendetta) -> None:
    with server_of_version(vendetta, "0.0.9"):
        version_file(vendetta).unlink()
        assert "restarting the server" in vendetta("node", "list").stderr
        assert version_file(vendetta).read_text() == __version__


def test_a_newer_server_is_left(vendetta: Vendetta) -> None:
    with server_of_version(vendetta, "99.0") as pid:
        done = vendetta("node", "list")
        assert f"the server is version 99.0, newer than this program ({__version__})" in done.stderr
        assert running_server(vendetta) == ("99.0", pid)


def version_file(vendetta: Vendetta) -> Path:
    return vendetta.home / "v" / "server.version"
