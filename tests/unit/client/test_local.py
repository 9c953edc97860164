"""Starting and stopping, with a stand-in for the server's program: it takes the lock, listens, and ends on SIGTERM."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vendetta.client import local
from vendetta.errors import DeadlineExceeded, InvalidInput, ServerUnavailable
from vendetta.paths import Paths

LIFELINE = """
import os
lifeline = int(os.environ["LIFELINE"])
"""
PROGRAM = """
import fcntl, select, signal, socket, sys
home = os.environ["VENDETTA_HOME"]
lock = open(home + "/server.lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
open(home + "/starts", "a").write("x")
path = home + "/server.sock"
def end(number, frame):
    os.unlink(path)
    sys.exit(0)
# a signal that comes just before select begins to wait would be looked at only after it otherwise
woken, waker = socket.socketpair()
waker.setblocking(False)
signal.set_wakeup_fd(waker.fileno())
signal.signal(signal.SIGTERM, end if sys.argv[1] == "good" else signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
kept = []
while lifeline not in (ready := select.select([listener, lifeline, woken], [], [])[0]):
    if listener in ready:
        kept.append(listener.accept())
"""
NEVER_LISTENS = "os.read(lifeline, 1)"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """Every program that a test starts lives as long as we hold its lifeline, which a dying test lets go too."""
    monkeypatch.setenv("VENDETTA_HOME", str(tmp_path / "h"))
    stand_in(monkeypatch, PROGRAM, "good")
    end, lifeline = os.pipe()
    monkeypatch.setenv("LIFELINE", str(end))
    started = record_processes(monkeypatch, end)
    try:
        yield Paths.from_environment()
    finally:
        os.close(lifeline)
        os.close(end)
        for pid in started:
            with suppress(ChildProcessError):  # collected already
                os.waitpid(pid, 0)


def record_processes(monkeypatch: pytest.MonkeyPatch, lifeline: int) -> list[int]:
    started: list[int] = []

    class Recorded(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, pass_fds=[lifeline], **options)  # type: ignore[call-overload]
            started.append(self.pid)

    monkeypatch.setattr(local.subprocess, "Popen", Recorded)
    return started


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str, *argv: str) -> None:
    monkeypatch.setattr(local, "SERVER_ARGV", (sys.executable, "-c", LIFELINE + program, *argv))


def test_a_server_is_started_once_and_stopped(paths: Paths) -> None:
    local.start_server(paths)
    pid = local.server_pid(paths)
    local.start_server(paths)
    assert local.server_pid(paths) == pid
    assert stat.S_IMODE(paths.log_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(paths.state_dir.stat().st_mode) == 0o700
    assert local.stop_server(paths, timeout_seconds=20)
    assert not local.is_listening(paths)
    assert not local.stop_server(paths, timeout_seconds=20)


def test_callers_that_race_get_the_same_server(paths: Paths) -> None:
    threads = [threading.Thread(target=local.start_server, args=(paths,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (paths.state_dir / "starts").read_text() == "x"


def test_a_server_that_dies_at_once_is_told_with_its_last_words(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, """import sys; print('{"event": "state.db is broken"}', file=sys.stderr); sys.exit(3)""")
    with pytest.raises(ServerUnavailable, match=r"status 3 .*: state\.db is broken") as caught:
        local.start_server(paths)
    assert caught.value.hint
    assert str(paths.log_file) in caught.value.hint


def test_a_server_that_never_listens_is_given_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, NEVER_LISTENS)
    with pytest.raises(ServerUnavailable, match="did not start within"):
        local.start_server(paths, timeout_seconds=0.1)


def test_one_that_does_not_stop_in_time_is_told(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, PROGRAM, "stubborn")
    local.start_server(paths)
    with pytest.raises(DeadlineExceeded) as caught:
        local.stop_server(paths, timeout_seconds=0.1)
    assert caught.value.hint
    assert "kill -9" in caught.value.hint


def test_a_socket_path_that_is_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDETTA_HOME", "/tmp/" + "x" * 120)
    with pytest.raises(InvalidInput, match="longer than 107 bytes"):
        local.start_server(Paths.from_environment())
