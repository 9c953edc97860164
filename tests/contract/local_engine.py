"""A Docker Engine of the tests' own on this machine: own processes, mounts and network, gone with the test run."""

import ctypes
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

T = TypeVar("T")
ROOT, PREFIX = "/var/tmp", "vendetta-engine-"
CLONE_NEWNET = 0x40000000
REQUIRED = ("dockerd", "containerd", "runc", "unshare", "setpriv", "nsenter", "busybox")

# sysfs is mounted anew because it shows the network namespace; the cgroups below it are bound back, for dockerd.
INIT = """
set -e
mount -t proc proc /proc
mkdir -p "$1/cgroup"
mount --rbind /sys/fs/cgroup "$1/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$1/cgroup" /sys/fs/cgroup
umount -l "$1/cgroup"
mount -t tmpfs tmpfs /run
ip link set lo up
exec dockerd --host "unix://$1/docker.sock" --data-root "$1/data" --exec-root /run/docker --pidfile /run/docker.pid \
    --oom-score-adjust 0 --group root --storage-driver overlay2 --cgroup-parent "$2"
"""


def missing() -> str | None:
    """Why there can be no engine here, None where there can."""
    if os.geteuid() != 0:
        return "a Docker Engine of its own needs root"
    lacking = [program for program in REQUIRED if shutil.which(program) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class LocalEngine:
    """`pid` is a process inside its namespaces."""

    directory: Path
    pid: int

    @property
    def socket_path(self) -> str:
        return str(self.directory / "docker.sock")

    def inside(self, argv: Sequence[str]) -> list[str]:
        """`argv` as it is run in the engine's network and mounts; it ends with the test run too."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", "-t", str(self.pid), "-m", "-n", *argv]

    def tcp_socket(self) -> socket.socket:
        """An unconnected socket that belongs to the engine's network."""

        def create() -> socket.socket:
            with open(f"/proc/{self.pid}/ns/net") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return socket.socket()

        return _in_thread(create)


@contextmanager
def running_engine() -> Iterator[LocalEngine]:
    _sweep()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=ROOT))
    cgroup = f"/{directory.name}"
    held = _hold(directory)
    unshare = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL"]
    argv = ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", INIT, "engine", str(directory), cgroup]
    with (directory / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for_socket(process, directory)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield LocalEngine(directory, int(children[0]))
    finally:
        process.kill()
        process.wait()
        _clean_up(directory)
        held.close()


def _wait_for_socket(process: "subprocess.Popen[bytes]", directory: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(directory / "docker.sock"))
            except OSError as exc:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = (directory / "dockerd.log").read_text()[-2000:]
                    raise RuntimeError(f"dockerd did not start:\n{tail}") from exc
                time.sleep(0.05)
            else:
                return


def _hold(directory: Path) -> TextIO:
    """Its lock, which is seen by others only once it is taken."""
    file = (directory / "lock.new").open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    (directory / "lock.new").rename(directory / "lock")
    return file


def _sweep() -> None:
    """What test processes left that were killed: nobody holds its lock any more."""
    for lock in Path(ROOT).glob(f"{PREFIX}*/lock"):
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _clean_up(lock.parent)


def _clean_up(directory: Path) -> None:
    for controller in (
        *Path("/sys/fs/cgroup").glob(directory.name),
        *Path("/sys/fs/cgroup").glob(f"*/{directory.name}"),
    ):
        for folder, _, _ in os.walk(controller, topdown=False):
            _retry(lambda folder=folder: os.rmdir(folder))
    _retry(lambda: shutil.rmtree(directory))


def _retry(action: Callable[[], None]) -> None:
    """The kernel takes a moment to let go of what a killed namespace held."""
    for attempt in range(50):
        try:
            action()
        except FileNotFoundError:
            return
        except OSError:
            if attempt == 49:
                raise
            time.sleep(0.1)
        else:
            return


def _in_thread(function: Callable[[], T]) -> T:
    """Its own thread, so that the namespace it enters stays its own."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]
