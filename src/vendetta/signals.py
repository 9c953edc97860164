"""Signals: a thing that happens, and the listeners that are called with it."""

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Signal(Generic[T]):
    """Call listeners in the order in which they came, within `send`. They must not wait. `name` is for the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._listeners: list[Callable[[T], object]] = []

    def listen(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each value from now on. Returns the function that ends that, and may be called twice."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def send(self, value: T) -> None:
        """Call every listener with `value`. What one raises is logged, and the others are called all the same."""
        for listener in list(self._listeners):
            try:
                listener(value)
            except Exception:
                log.exception("a listener failed", signal=self._name)
