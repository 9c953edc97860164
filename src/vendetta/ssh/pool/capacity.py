"""Hand out places for connections: a limited number at once, in order, with a deadline."""

import asyncio
from collections import deque

from vendetta.errors import Busy
from vendetta.signals import Signal

PATIENCE_SECONDS = 60.0
Place = asyncio.Future[None]


class Capacity:
    """Hand out places for connections in two lines: people first, then those who only watch.

    `lacking` is sent when a caller begins to wait, so that others give back the places they don't need.
    """

    def __init__(self, limit: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._limit = limit
        self._patience = patience_seconds
        self.lacking: Signal[None] = Signal("places are lacking")
        self._taken = 0
        self._waiting: deque[Place] = deque()
        self._watching: dict[str, Place] = {}

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def full(self) -> bool:
        return self._taken >= self._limit

    @property
    def wanted(self) -> int:
        """How many callers wait for a place."""
        return len(self._waiting) + len(self._watching)

    @property
    def hurried(self) -> bool:
        """Whether people are among those who wait."""
        return bool(self._waiting)

    async def take(self, node: str, *, instead: bool = False, watching: bool = False) -> None:
        """Wait for a place and take it, at once if it is `instead` of another that is about to be given back.

        Raises `Busy` if no place comes free in time.
        """
        if instead or (self._taken < self._limit and not self.wanted):
            self._taken += 1
            return
        place: Place = asyncio.get_running_loop().create_future()
        if watching:
            self._watching[node] = place
        else:
            self._waiting.append(place)
        self.lacking.send(None)
        try:
            async with asyncio.timeout(self._patience):
                await place
        except BaseException as exc:
            self._give_up(node, place)
            if isinstance(exc, TimeoutError):
                raise Busy(
                    f"connect to node {node}: all {self._limit} connections are in use",
                    hint="Raise max_connections, or try again later.",
                    node=node,
                    max_connections=self._limit,
                ) from exc
            raise

    def hurry(self, node: str) -> None:
        """Move the node to the people's line if its place is waited for only to watch it."""
        if place := self._watching.pop(node, None):
            self._waiting.append(place)

    def give(self) -> None:
        """Give a place back to the first who waits."""
        self._taken -= 1
        while self.wanted and self._taken < self._limit:
            place = self._waiting.popleft() if self._waiting else self._watching.pop(next(iter(self._watching)))
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _give_up(self, node: str, place: Place) -> None:
        if self._watching.get(node) is place:
            del self._watching[node]
        elif place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            self.give()  # it came just as the caller gave up
