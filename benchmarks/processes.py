"""What a process has used, as the kernel counts it."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time."""
    return _ticks(pid, 2) / TICKS


def family_cpu_seconds(pid: int) -> float:
    """Of the process and its children, those that have ended too; of a child that ends meanwhile perhaps nothing."""
    ticks = _ticks(pid, 4)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):
            ticks += _ticks(int(child), 2)
    return ticks / TICKS


def _ticks(pid: int, kinds: int) -> int:
    """proc(5), stat: user and system time, then those of the children that were waited for."""
    fields: Sequence[str] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 11 + kinds]))


def resident_bytes(pid: int) -> int:
    """proc(5), statm."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
