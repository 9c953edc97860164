"""Hearing from a service that it is ready: the receiving end of systemd's sd_notify protocol."""

import os
import select
import socket
import time
from pathlib import Path
from types import TracebackType


class Readiness:
    """Listens at `path` (what the service has as NOTIFY_SOCKET) from before the service starts."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def __enter__(self) -> "Readiness":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def wait(self, pid: int, *, timeout_seconds: float = 60.0) -> bool:
        """Whether the service became ready; False when process `pid` ended before it did, or time is up."""
        deadline = time.monotonic() + timeout_seconds
        process = os.pidfd_open(pid)
        try:
            while (left := deadline - time.monotonic()) > 0:
                readable, _, _ = select.select([self._socket.fileno(), process], [], [], left)
                if self._socket.fileno() in readable:
                    if b"READY=1" in self._socket.recv(4096).splitlines():
                        return True
                elif readable:
                    return False
        finally:
            os.close(process)
        return False
