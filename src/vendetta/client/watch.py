"""Following something on the server over a link that may be lost: connects again and goes on where it was."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from vendetta.errors import ServerUnavailable

T = TypeVar("T")

PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0)


class Resumed:
    """Counts failures in a row; a message that arrives starts the count anew."""

    def __init__(self) -> None:
        self._failures = 0

    def messages(self, source: Iterable[T]) -> Iterator[T]:
        for message in source:
            self.arrived()
            yield message

    def arrived(self) -> None:
        self._failures = 0

    def pause(self, error: ServerUnavailable) -> None:
        """Wait before the next attempt. Raises `error` after too many in a row."""
        if self._failures == len(PAUSES):
            raise error
        time.sleep(PAUSES[self._failures])
        self._failures += 1
