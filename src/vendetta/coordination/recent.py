"""The newest events, as they are heard of, for watchers who keep up with them: nothing here reads the store."""

from bisect import bisect_right
from collections import deque
from operator import attrgetter

from vendetta.models import Event

_SEQUENCE = attrgetter("sequence")


class Recent:
    """Every event above some number, once it has heard of one; of them it holds no more than `most`.

    They are to be heard in the order of their numbers. Numbers may be left out, events may not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: deque[Event] = deque()
        self._since: int | None = None

    def add(self, event: Event) -> None:
        if self._since is None:
            self._since = event.sequence - 1
        if event.sequence <= self._newest:
            return
        self._events.append(event)
        if len(self._events) > self._most:
            self._since = self._events.popleft().sequence

    def leave_out(self, sequence: int) -> None:
        """There is an event of that number, which isn't held: it begins anew above it."""
        if self._since is None or sequence > self._newest:
            self._events.clear()
            self._since = sequence

    def forget(self) -> None:
        """Some may have passed unheard: it begins anew with the next, of which alone it is known what follows."""
        self._events.clear()
        self._since = None

    def knows(self, since: int) -> bool:
        """Whether all there is above `since` is held, or will be heard."""
        return self._since is not None and self._since <= since

    def after(self, since: int) -> Event | None:
        """The first above `since`; None where there is none yet."""
        if not self._events or self._newest <= since:
            return None
        return self._events[bisect_right(self._events, since, key=_SEQUENCE)]

    @property
    def _newest(self) -> int:
        return self._events[-1].sequence if self._events else self._since or 0
