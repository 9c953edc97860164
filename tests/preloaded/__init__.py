"""Servers for the tests that are forked from a process that has imported everything already.

To import the server takes nearly two seconds of a processor, as often as a test starts one. `python -m vendetta.api` is
run as ever, with an environment of `environment()`: Python's own hook for sites (start/sitecustomize.py) then asks the
preloaded process for the server, and waits in its place. What is tested is what would have run: the same main program,
with the same environment, folder, files and signals. The thorough part and tests/integration/api start servers without.

Commands that are waited for to their end are forked as well, where the test's environment has `COMMAND`: those of
tests/e2e that need no signals and no terminal. A test may also have a function of its own called in a forked process
(`preloaded.fork`).
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

HERE = Path(__file__).parent
SOCKET = "TESTS_PRELOADED"
"""The variable that names the socket of the preloaded process."""

COMMAND = "TESTS_PRELOADED_COMMAND"
"""Where this variable is set, a command line is forked too."""

MEASURED = "TESTS_MEASURED"
"""Where this variable is set, to coverage's configuration, servers that are forked are measured."""

OFF = "TESTS_NOT_PRELOADED"
"""Where this variable is set, servers start as they do without tests."""


class Forked:
    """A process that was forked for a test."""

    def __init__(self, process: int) -> None:
        self._process = process

    def kill(self) -> None:
        try:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait(self, timeout_seconds: float | None = None) -> None:
        """Return once it has ended. Raises `TimeoutError`."""
        if not select.select([self._process], [], [], timeout_seconds)[0]:
            raise TimeoutError(f"it has not ended within {timeout_seconds} s")

    def close(self) -> None:
        os.close(self._process)


class Preloaded:
    """One for a test process; it ends with it, however it ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = Path()

    def environment(self) -> dict[str, str]:
        """What to add to the environment of a process that may start a server. Starts the preloaded one if need be."""
        if os.environ.get(OFF):
            return {}
        self._require()
        path = os.pathsep.join(filter(None, [str(HERE / "start"), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, SOCKET: str(self._socket)}

    def fork(self, function: str, *arguments: object, files: Sequence[int] = ()) -> Forked:
        """Call `function` ("module:name") in a process of its own.

        It is given the arguments, which travel as JSON, and behind them the numbers that `files` have there.
        """
        self._require()
        wanted = {"environment": dict(os.environ), "folder": "/", "umask": 0o022, "function": function}
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.connect(str(self._socket))
            message = json.dumps({**wanted, "arguments": arguments}).encode()
            with open(os.devnull, "rb") as nothing:
                socket.send_fds(asking, [message], [nothing.fileno(), 1, 2, *files])
            _, [process], _, _ = socket.recv_fds(asking, 64, 1)
        return Forked(process)

    def _require(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._process = self._start()

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
