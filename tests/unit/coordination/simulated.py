"""An event loop whose clock jumps to whatever is next as soon as nothing happens: ten minutes pass in a second."""

import asyncio
import selectors
from typing import Any

PATIENCE_SECONDS = 0.02
"""How long a thread (the database's) has to come back before time goes on without it."""


class _Impatient(selectors.DefaultSelector):
    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= PATIENCE_SECONDS:
            return super().select(timeout)
        ready = super().select(PATIENCE_SECONDS)
        if not ready:
            self.skipped += timeout - PATIENCE_SECONDS
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return super().time() + self._impatient.skipped


def run(doing: Any) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(doing)
