"""This user's own server: started when it is absent, found, stopped. One server, however many callers race.

The server itself holds the lock that makes it one; a caller that loses the race to start it waits for the winner's.
"""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from vendetta.errors import DeadlineExceeded, Forbidden, ServerUnavailable
from vendetta.paths import Paths
from vendetta.private_socket import check_path

SERVER_ARGV = (sys.executable, "-m", "vendetta.api")
START_SECONDS = 60.0
_POLL_SECONDS = 0.02
_SPAWN_AGAIN_SECONDS = 0.2
_TAIL_LINES = 5


def start_server(paths: Paths, *, timeout_seconds: float = START_SECONDS) -> None:
    """Start the server and return once it accepts connections.

    Raises `ServerUnavailable` with the last lines of its log, `InvalidInput` where the path of its socket is too long.
    """
    check_path(paths.socket)
    log_start = paths.log_file.stat().st_size if paths.log_file.exists() else 0
    deadline = time.monotonic() + timeout_seconds
    child = _spawn(paths)
    try:
        while not is_listening(paths):
            status = child.poll()
            if status:
                raise _failed(paths, log_start, f"the server ended with status {status} as it started")
            if time.monotonic() > deadline:
                raise _failed(paths, log_start, f"the server did not start within {timeout_seconds:g} s")
            if status == 0:
                # another server held the lock; it may have been one that was just ending
                time.sleep(_SPAWN_AGAIN_SECONDS)
                child = child if is_listening(paths) else _spawn(paths)
            time.sleep(_POLL_SECONDS)
    finally:
        # it goes on without us: Popen would complain that it is left alone
        child.returncode = child.returncode or 0


def stop_server(paths: Paths, *, timeout_seconds: float, pid: int | None = None) -> bool:
    """End the server and wait until it is gone; with `pid`, only if that is the one that listens.

    Return False where none was running, or another one than `pid`. Raises `DeadlineExceeded`, `Forbidden`.
    """
    listening = server_pid(paths)
    if listening is None or pid not in (None, listening):
        return False
    pid = listening
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        signal.pidfd_send_signal(watched, signal.SIGTERM)
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        if not poll.poll(timeout_seconds * 1000):
            raise DeadlineExceeded(
                f"the server (pid {pid}) is still stopping after {timeout_seconds:g} s",
                hint=f"It finishes what runs; wait longer with --timeout, or end it with: kill -9 {pid}",
            )
    except ProcessLookupError:
        return True
    except PermissionError as exc:
        raise Forbidden(f"the server (pid {pid}) is another user's") from exc
    finally:
        os.close(watched)
    return True


def server_pid(paths: Paths) -> int | None:
    """Ask the kernel for the pid of the server that listens, whether it answers or not; None where none listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(paths.socket))
        except OSError:
            return None
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def is_listening(paths: Paths) -> bool:
    return server_pid(paths) is not None


def _spawn(paths: Paths) -> "subprocess.Popen[bytes]":
    for folder in (paths.state_dir, paths.runtime_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = dict(os.environ)
    if "VENDETTA_HOME" in environment:
        environment["VENDETTA_HOME"] = str(paths.state_dir)  # absolute: the server runs in another directory
    with open(os.open(paths.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
        return subprocess.Popen(
            SERVER_ARGV,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment,
            start_new_session=True,
        )


def _failed(paths: Paths, log_start: int, message: str) -> ServerUnavailable:
    lines = read_log_tail(paths.log_file, log_start)
    last = f": {lines[-1]}" if lines else ""
    return ServerUnavailable(message + last, hint=f"Its log is {paths.log_file}", log=lines)


def read_log_tail(log_file: Path, start: int) -> list[str]:
    """Return the last lines of the log after the offset `start`; structured ones as their message."""
    try:
        with log_file.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [_message(line) for line in lines if line.strip()][-_TAIL_LINES:]


def _message(line: str) -> str:
    try:
        record = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    return str(record.get("error") or record.get("event") or line) if isinstance(record, dict) else line
