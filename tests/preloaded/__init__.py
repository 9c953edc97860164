"""Servers for the tests that are forked from a process that has imported everything already.

To import the server takes nearly two seconds of a processor, as often as a test starts one. `python -m vendetta.api` is
run as ever, with an environment of `environment()`: Python's own hook for sites (start/sitecustomize.py) then asks the
preloaded process for the server, and waits in its place. What is tested is what would have run: the same main program,
with the same environment, folder, files and signals. The thorough part and tests/integration/api start servers without.
"""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

HERE = Path(__file__).parent
SOCKET = "TESTS_PRELOADED"
"""The variable that names the socket of the preloaded process."""

OFF = "TESTS_NOT_PRELOADED"
"""Where this variable is set, servers start as they do without tests."""


class Preloaded:
    """One for a test process; it ends with it, however it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = Path()

    def environment(self) -> dict[str, str]:
        """What to add to the environment of a process that may start a server. Starts the preloaded one if need be."""
        if os.environ.get(OFF):
            return {}
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()
        path = os.pathsep.join(filter(None, [str(HERE / "start"), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, SOCKET: str(self._socket)}

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        """It is ready when this returns. It ends when its standard input does, and takes its folder away."""
        self._socket = Path(mkdtemp(prefix="vdt-preloaded-", dir="/var/tmp")) / "socket"
        argv = [sys.executable, str(HERE / "forking.py"), str(self._socket)]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("VENDETTA", "SSH", "XDG"))}
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited, cwd="/")
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process


preloaded = Preloaded()
