"""One thing that happens, and those who hear of it: every list of listeners is a `Signal`."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Signal(Generic[T]):
    """Call those who listen at once, in the order in which they came. They must not wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[Callable[[T], object]] = []

    def listen(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each value from now on. Returns what ends that; to call it again does nothing."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def send(self, value: T) -> None:
        """Call everybody who listens now with `value`. One that raises is logged, and keeps it from nobody else."""
        for listener in list(self._listeners):
            try:
                listener(value)
            except Exception:
                log.exception("a listener failed", signal=self._name)
