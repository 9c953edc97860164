"""How many logins go on at once, for each host and overall, so as not to trip sshd's `MaxStartups`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

PER_HOST = 2
"""sshd begins to turn people away at ten, and some are configured for fewer; two already hide the round trips."""
OVERALL = 64
SLOW_SECONDS = 3.0
"""A login that takes longer waits for the other side, and costs us nothing: another one may begin beside it."""


@dataclass(slots=True)
class Lane:
    """The logins of one host. `users` counts those who are in it or wait for it."""

    semaphore: asyncio.Semaphore
    users: int = 0


class Pacing:
    def __init__(self, per_host: int = PER_HOST, overall: int = OVERALL, *, slow_seconds: float = SLOW_SECONDS) -> None:
        self._per_host = per_host
        self._overall = asyncio.Semaphore(overall)
        self._slow_seconds = slow_seconds
        self._lanes: dict[str, Lane] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Those who wait get it in the order in which they came. A host that hangs holds up nobody but itself."""
        lane = self._lanes.setdefault(host, Lane(asyncio.Semaphore(self._per_host)))
        lane.users += 1
        try:
            async with lane.semaphore, self._overall_turn():
                yield
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]

    @asynccontextmanager
    async def _overall_turn(self) -> AsyncIterator[None]:
        await self._overall.acquire()
        with ExitStack() as held:
            held.callback(self._overall.release)
            slow = asyncio.get_running_loop().call_later(self._slow_seconds, held.close)
            try:
                yield
            finally:
                slow.cancel()
