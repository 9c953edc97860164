"""Limit how many logins go on at once, for each host (`MaxStartups`) and overall (our own CPU)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from time import monotonic

PER_HOST = 2
"""sshd begins to turn people away at ten, and some are configured for fewer; two already hide the round trips."""
OVERALL = 16
SLOW_SECONDS = 3.0
"""A login that takes longer waits for the other side, and costs us nothing: another may begin beside it."""
PIECES, LATE_SECONDS = 12, 0.1
"""That time is waited for in pieces. A piece that ends so late means that this process is busy, and doesn't count."""


@dataclass(slots=True)
class Lane:
    """The logins of one host. `users` counts those that hold a turn or wait for one."""

    semaphore: asyncio.Semaphore
    users: int = 0


class Limit:
    """Let `limit` callers go on at once, in order of arrival; one that takes `slow_seconds` no longer counts."""

    def __init__(self, limit: int, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._free = asyncio.Semaphore(limit)
        self._slow_seconds = slow_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it while the block runs, at most until it is slow."""
        await self._free.acquire()
        with ExitStack() as held:
            held.callback(self._free.release)
            patience = Patience(self._slow_seconds, held.close)
            try:
                yield
            finally:
                patience.end()


class Patience:
    """Call `act` once so many seconds have passed in which this process kept up with its work."""

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._piece = seconds / PIECES
        self._left = PIECES
        self._act = act
        self._wait()

    def end(self) -> None:
        """Stop waiting: `act` is not called."""
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
    """Let `per_host` logins go on at once to one host, and `overall` to all of them."""

    def __init__(self, per_host: int = PER_HOST, overall: int = OVERALL, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._per_host = per_host
        self._overall = Limit(overall, slow_seconds=slow_seconds)
        self._lanes: dict[str, Lane] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Hold a turn while the block runs, in the order of arrival. A host that hangs delays no other."""
        lane = self._lanes.setdefault(host, Lane(asyncio.Semaphore(self._per_host)))
        lane.users += 1
        try:
            async with lane.semaphore, self._overall.turn():
                yield
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]
