"""Visit the nodes that rest in turn: each at most once a minute, and all of them together once a second.

A visit takes a login and a full reading, about 30 ms of CPU: so those that rest cost some 3 % of a core, however many
they are. With few it is every minute, with two thousand every half an hour.
"""

import asyncio

from .watched_node import Watched, clock

RESTING_SECONDS = 60.0
"""How long a node rests at least, unless somebody opens its link before."""
APART_SECONDS = 1.0
"""The time between two visits, whichever nodes they go to."""


class RestingVisits:
    """Wake the nodes that rest, the longest first, by one timer for all of them."""

    def __init__(self) -> None:
        self._due: dict[Watched, float] = {}
        self._earliest = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    async def wait_for_turn(self, watched: Watched) -> None:
        """Wait until it is the node's turn, or it is nudged: then its turn goes to the next one."""
        self._due[watched] = clock() + RESTING_SECONDS
        self._plan()
        try:
            await watched.nudged(None)
        finally:
            self._due.pop(watched, None)

    def _plan(self) -> None:
        if self._timer is None and self._due:
            longest = next(iter(self._due.values()))
            self._timer = asyncio.get_running_loop().call_at(max(longest, self._earliest), self._wake)

    def _wake(self) -> None:
        """Nudge the node that rests longest, if it has rested for `RESTING_SECONDS`, and plan the next."""
        self._timer = None
        now = clock()
        if self._due and next(iter(self._due.values())) <= now:
            watched = next(iter(self._due))
            del self._due[watched]
            self._earliest = now + APART_SECONDS
            watched.nudge.set()
        self._plan()
