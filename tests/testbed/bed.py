"""A test bed: real Linux nodes on one machine, side by side on a bridge of their own, gone when it is closed.

It needs root, and touches nothing of the machine: no user, no file, no service. Everything that must not be left
behind belongs to a keeper process (keeper.py), which ends with the bed however the bed ends.
"""

import ipaddress
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Literal

from . import files, keeper
from .node import Node, NodeSpec
from .registry import Registry
from .requirements import SYSTEM_PATH

MASKED = ("/tmp", "/run", "/home", "/root", "/etc", "/proc", "/sys", "/var/log", "/var/lib/docker")


class TestBed:
    """`with TestBed() as bed: node = bed.node(docker=True)`. Safe to use from several threads.

    `directory` must not exist yet, nor lie below what a node has as its own (`/tmp`, `/run`, `/home` …).
    """

    __test__ = False  # for pytest, which takes the name for a test's

    def __init__(self, directory: Path | None = None) -> None:
        if directory is not None and any(directory.absolute().is_relative_to(path) for path in MASKED):
            raise ValueError(f"{directory}: a node doesn't see what is below {', '.join(MASKED)}")
        self._base = Path(mkdtemp(prefix="vendetta-bed-", dir="/var/tmp")) if directory is None else None
        self.directory = self._base / "bed" if self._base else Path(directory or "").absolute()
        self._lock = threading.Lock()
        self._numbers = iter(range(2, 255))
        self._registries: list[Registry] = []
