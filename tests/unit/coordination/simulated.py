"""An event loop whose clock jumps to whatever is next as soon as nothing happens: ten minutes pass in a second."""

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest import mock

PATIENCE_SECONDS = 0.002
"""How long what comes from outside (a thread that nobody knows of, a socket) has before time goes on without it."""


class _Impatient(selectors.DefaultSelector):
    """`passed` are the seconds that somebody waited for. While threads are `working` none pass."""

    passed = 0.0
    working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not timeout or timeout < 0:
            return super().select(timeout)
        while not (ready := super().select(PATIENCE_SECONDS)) and self.working:
            continue
        if not ready:
            self.passed += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """What is computed takes no time, however long a busy machine takes for it."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        self._began = time.monotonic()
        super().__init__(self._impatient)

    def time(self) -> float:
        return self._began + self._impatient.passed

    def expect(self, work: "Future[Any]") -> None:
        """Let no time pass until a thread is done with `work`, however busy the machine is."""
        self._impatient.working += 1
        work.add_done_callback(lambda _: self.is_closed() or self.call_soon_threadsafe(self._came_back))

    def _came_back(self) -> None:
        self._impatient.working -= 1


def run(doing: Any) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner, mock.patch.object(ThreadPoolExecutor, "submit", _submit):
        runner.run(doing)


_submit_unseen: Callable[..., "Future[Any]"] = ThreadPoolExecutor.submit


def _submit(executor: ThreadPoolExecutor, *what: Any, **how: Any) -> "Future[Any]":
    """What the loop asks of threads is expected back. What threads ask of one another is not."""
    work = _submit_unseen(executor, *what, **how)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a thread asks
        return work
    if isinstance(loop, SimulatedLoop):
        loop.expect(work)
    return work
