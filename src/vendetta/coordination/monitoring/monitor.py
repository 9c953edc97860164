"""Keep a watch of each node that this replica holds: one task a node, under the claim by which it is held.

What is seen is written as long as that claim counts. `node_watcher` says what a watch does.

Beyond `max_connections` the idlest nodes rest: their link is closed, and they are visited in turn instead (`resting`).
"""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from vendetta.ssh.pool import Pool
from vendetta.store import NodeClaim, Store
from vendetta.tasks import cancel_and_wait

from .arrivals import Arrivals
from .link_status import LinkStatus
from .node_watcher import NodeWatcher
from .observation import Observation
from .offline_detector import Heartbeats
from .silence import Silence
from .watched_node import Watched, clock


class Monitor:
    """Watch the nodes of this replica's share. A node is `offline` after `node_timeout_seconds` without an answer."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        links: LinkStatus,
        observation: Observation,
        watcher: NodeWatcher,
        *,
        node_timeout_seconds: float,
    ) -> None:
        self._pool = pool
        self._links = links
        self._watcher = watcher
        self._watched: dict[str, Watched] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._arrivals = Arrivals(store, self._expect)
        self._heartbeats = Heartbeats(
            self._watched, pool, links, observation, node_timeout_seconds=node_timeout_seconds
        )
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._closing.callback(self._links.opened.listen(self._nudge))
        await self._closing.enter_async_context(self._arrivals)
        await self._closing.enter_async_context(self._heartbeats)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()
        tasks = [watched.task for watched in self._watched.values() if watched.task]
        await cancel_and_wait(*tasks, *self._ending)

    def follow(self, claim: NodeClaim) -> None:
        """Watch the node of this claim. If it is watched under the same claim already, try its link now."""
        name = claim.node
        known = self._watched.get(name)
        if known and known.goes_on and known.claim == claim:
            known.nudge.set()
            return
        if known and known.task:
            # under an older claim: it isn't waited for here, but where all end
            known.task.cancel()
            self._ending.add(known.task)
            known.task.add_done_callback(self._ending.discard)
        watched = self._watched[name] = Watched(claim, Silence(clock()))
        watched.task = asyncio.create_task(self._watcher.watch(watched), name=f"monitor {name}")

    async def unfollow(self, name: str) -> None:
        """Stop watching the node, and wait until that has ended. A node that isn't watched is no error."""
        watched = self._watched.pop(name, None)
        if watched and watched.task:
            await cancel_and_wait(watched.task)

    def follows(self, name: str) -> bool:
        """Return whether the node is watched here."""
        return name in self._watched

    def release(self, name: str) -> None:
        """Close the link of a node that another replica watches now, unless it is in use."""
        self._pool.release(name)

    def _nudge(self, name: str) -> None:
        if watched := self._watched.get(name):
            watched.nudge.set()

    def _expect(self, node: str, kind: str) -> None:
        if watched := self._watched.get(node):
            watched.expect(kind)
