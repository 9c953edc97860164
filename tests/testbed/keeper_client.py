"""The owner's end of the keeper process: what keeper.py describes, as an object."""

import ipaddress
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import keeper
from .requirements import SYSTEM_PATH


class KeeperClient:
    """A running keeper, with its folder and bridge. Its standard input is the thread that all of it hangs by."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C is for the owner: what to end, and when, is its decision
        )
        try:
            claim = self._read()
        except BaseException:
            self.close()
            raise
        self.bridge: str = claim["bridge"]
        self.subnet: ipaddress.IPv4Network = keeper.subnet(claim["index"])

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, argv: Sequence[str], log: Path) -> int:
        """Starts a process that ends with the keeper; returns its id, which stays its own until the bed ends."""
        assert self._process.stdin
        with self._lock:
            self._process.stdin.write(json.dumps({"argv": list(argv), "log": str(log)}) + "\n")
            self._process.stdin.flush()
            pid: int = self._read()
        return pid

    def close(self) -> None:
        """Returns once everything is gone; raises `RuntimeError` when something is not."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        status = self._process.wait(timeout=120)
        self._process.stdout.close()
        if status:
            raise RuntimeError(f"the test bed's keeper ended with {status}; what it said is on standard error")

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the test bed's keeper is gone; what it said is on standard error")
        return json.loads(line)
