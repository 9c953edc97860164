"""How many logins go on at once, for each host and overall, so as not to trip sshd's `MaxStartups`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

PER_HOST = 2
"""sshd begins to turn people away at ten, and some are configured for fewer; two already hide the round trips."""
OVERALL = 64


@dataclass(slots=True)
class Lane:
    """The logins of one host. `users` counts those who are in it or wait for it."""

    semaphore: asyncio.Semaphore
    users: int = 0


class Pacing:
    def __init__(self, per_host: int = PER_HOST, overall: int = OVERALL) -> None:
        self._per_host = per_host
        self._overall = asyncio.Semaphore(overall)
        self._lanes: dict[str, Lane] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Those who wait get it in the order in which they came."""
        lane = self._lanes.setdefault(host, Lane(asyncio.Semaphore(self._per_host)))
        lane.users += 1
        try:
            async with lane.semaphore, self._overall:
                yield
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]
