"""Places for connections: so many at once, handed out in order, with a deadline."""

import asyncio
from collections import deque
from collections.abc import Callable

from vendetta.errors import Busy


class Room:
    """`on_full` is called when somebody begins to wait: whoever holds a place without need should give it back."""

    def __init__(self, limit: int, patience_seconds: float, on_full: Callable[[], None]) -> None:
        self._limit = limit
        self._patience = patience_seconds
        self._on_full = on_full
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def wanted(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    async def take(self, node: str, *, instead: bool = False) -> None:
        """`instead` of another that is about to go: at once. Raises `Busy` where no place comes free in time."""
        if instead or (self._taken < self._limit and not self._waiting):
            self._taken += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._on_full()
        try:
            async with asyncio.timeout(self._patience):
                await place
        except BaseException as exc:
            self._give_up(place)
            if isinstance(exc, TimeoutError):
                raise Busy(
                    f"connect to node {node}: all {self._limit} connections are in use",
                    hint="Raise max_connections, or try again later.",
                    node=node,
                    max_connections=self._limit,
                ) from exc
            raise

    def give(self) -> None:
        self._taken -= 1
        while self._waiting and self._taken < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _give_up(self, place: "asyncio.Future[None]") -> None:
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            self.give()  # it came just as the caller gave up
