"""How long the server's event loop lets the smallest question wait, by the CPU time that its thread takes meanwhile.

So what else runs on the machine doesn't count, as it would by the clock.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BETWEEN_SECONDS = 0.02
QUESTION = b"GET /healthz HTTP/1.1\r\nHost: vendetta\r\n\r\n"
NANOSECONDS = 1e9


@dataclass
class Stalls:
    longest_seconds: float = 0.0
    questions: int = 0


@contextmanager
def counted(server: Path, pid: int) -> Iterator[Stalls]:
    """As long as it lasts, questions are asked on the server's socket, by a thread of their own."""
    stalls, done = Stalls(), threading.Event()

    def ask() -> None:
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(server))
            while not done.wait(BETWEEN_SECONDS):
                before = thread_seconds(pid)
                link.sendall(QUESTION)
                if not link.recv(4096):
                    return
                stalls.longest_seconds = max(stalls.longest_seconds, thread_seconds(pid) - before)
                stalls.questions += 1

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield stalls
    finally:
        done.set()
        thread.join()


def thread_seconds(pid: int) -> float:
    """The CPU time of the process's first thread, which is its event loop's (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / NANOSECONDS
