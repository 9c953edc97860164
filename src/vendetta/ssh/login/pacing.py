"""How many logins go on at once, for each host and overall: not to trip `MaxStartups`, nor over ourselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic

PER_HOST = 2
"""sshd begins to turn people away at ten, and some are configured for fewer; two already hide the round trips."""
OVERALL = 16
SLOW_SECONDS = 3.0
"""What takes longer waits for the other side, and costs us nothing: another may begin beside it."""
PIECES, LATE_SECONDS = 12, 0.1
"""That time is waited for in pieces. One that ends so late says that it is we who are busy, and doesn't count."""


@dataclass(slots=True)
class Lane:
    """The logins of one host. `users` counts those who are in it or wait for it."""

    semaphore: asyncio.Semaphore
    users: int = 0


class Limit:
    """So many at once, in the order in which they came; those that only wait for somebody else don't count for long."""

    def __init__(self, limit: int, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._free = asyncio.Semaphore(limit)
        self._slow_seconds = slow_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        await self._free.acquire()
        with ExitStack() as held:
            held.callback(self._free.release)
            patience = Patience(self._slow_seconds, held.close)
            try:
                yield
            finally:
                patience.end()


class Patience:
    """Acts once so much time has passed in which this process kept up with its work."""

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._piece = seconds / PIECES
        self._left = PIECES
        self._act = act
        self._wait()

    def end(self) -> None:
        self._timer.cancel()

    def _wait(self) -> None:
        self._due = monotonic() + self._piece
        self._timer = asyncio.get_running_loop().call_later(self._piece, self._pass)

    def _pass(self) -> None:
        if monotonic() - self._due < LATE_SECONDS:
            self._left -= 1
        if self._left:
            self._wait()
        else:
            self._act()


class Pacing:
    def __init__(self, per_host: int = PER_HOST, overall: int = OVERALL, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._per_host = per_host
        self._overall = Limit(overall, slow_seconds=slow_seconds)
        self._lanes: dict[str, Lane] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Those who wait get it in the order in which they came. A host that hangs holds up nobody but itself."""
        lane = self._lanes.setdefault(host, Lane(asyncio.Semaphore(self._per_host)))
        lane.users += 1
        try:
            async with lane.semaphore, self._overall.turn():
                yield
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]
