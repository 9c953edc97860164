"""Nothing of a bed is left, however it ended."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.testbed import TestBed, keeper

pytestmark = pytest.mark.root

OWNER = """
import json, signal, sys
from tests.testbed import TestBed, keeper
with TestBed() as bed:
    node = bed.node(docker=True)
    node.load_image()
    node.run(["docker", "run", "-d", "--name", "sleeper", "busybox", "sleep", "1000"])
    for verb in sys.argv[1:]:
        node.run(["docker", verb, "sleeper"])
    bed.registry()
    bed.postgres()
    print(json.dumps({"keeper": bed.keeper_pid, "bridge": bed.bridge, "directory": str(bed.directory)}), flush=True)
    signal.pause()
"""


def traces(bridge: str, directory: str) -> list[str]:
    """Whatever on this machine still belongs to the bed: links, cgroups, mounts, files, processes."""
    found = [name for name in os.listdir("/sys/class/net") if name == bridge or name.startswith(f"{bridge}-")]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{bridge}")]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if directory in line]
    found += [directory] if Path(directory).exists() else []
    return [*found, *processes(directory)]


def processes(directory: str) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            argv = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if directory.encode() in argv:
            yield argv.decode()


@contextmanager
def owner(*verbs: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any], int]]:
    """A process with a bed, what it says of it, and a descriptor that is readable once the bed's keeper ended.

    `verbs` are what docker does to the container there.
    """
    argv = [sys.executable, "-c", OWNER, *verbs]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=os.getcwd())
    assert process.stdout
    try:
        said = json.loads(process.stdout.readline())
        watched = os.pidfd_open(said.pop("keeper"))
        try:
            yield process, said, watched
        finally:
            os.close(watched)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_nothing_is_left_of_a_bed_whose_owner_died(number: signal.Signals) -> None:
    with owner() as (process, bed, watched):
        assert len(traces(**bed)) > 5
        process.send_signal(number)
        assert select.select([watched], [], [], 60)[0]
        assert traces(**bed) == []


def test_nothing_is_left_of_what_was_paused() -> None:
    with owner("pause") as (process, bed, watched):
        process.kill()
        assert select.select([watched], [], [], 60)[0]
        assert traces(**bed) == []


def test_a_killed_keeper_takes_its_processes_along() -> None:
    with owner() as (process, bed, watched):
        signal.pidfd_send_signal(watched, signal.SIGKILL)
        assert select.select([watched], [], [], 60)[0]
        process.kill()
        process.wait()
        try:
            keeper.eventually(lambda: no_processes(bed["directory"]))
        finally:
            keeper.remove(bed["bridge"], Path(bed["directory"]))
    assert traces(**bed) == []


def no_processes(directory: str) -> None:
    if left := list(processes(directory)):
        raise OSError(f"still running: {left}")


def test_beds_side_by_side_do_not_meet(bed: TestBed) -> None:
    with TestBed() as other:
        assert other.bridge != bed.bridge
        assert other.gateway != bed.gateway
        node = other.node()
        assert node.logins() == 0
        said = {"bridge": other.bridge, "directory": str(other.directory)}
    assert traces(**said) == []


def test_a_folder_that_nodes_cannot_see_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="doesn't see"):
        TestBed(Path("/tmp/bed"))
