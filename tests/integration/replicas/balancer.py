"""A load balancer in small: a unix socket that leads each connection to the first of the servers that answers."""

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.e2e.harness import PATIENCE_SECONDS
from tests.integration.replicas.servers import Server, carry_both_ways, hang_up


class Balancer:
    def __init__(self, path: Path, servers: Sequence[Server]) -> None:
        self.address = f"unix://{path}"
        self._servers = servers
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._called = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def switch(self, servers: Sequence[Server]) -> None:
        """These from now on. What is open is cut."""
        with self._lock:
            self._servers = servers
            hang_up(self._open)

    def wait_for_callers(self) -> None:
        """Returns once there was one."""
        assert self._called.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        # whoever waits in accept isn't woken by close alone
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            hang_up(self._open)

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                far = self._reach()
                if far is None:
                    near.close()
                    continue
                self._open += [near, far]
            self._called.set()
            carry_both_ways(near, far)

    def _reach(self) -> socket.socket | None:
        for server in self._servers:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(str(server.socket))
            except OSError:
                sock.close()
                continue
            return sock
        return None
