"""What people want of a node's link: said to any replica, kept in the database, done by the one that watches the node.

The others are told by the news. What they miss (their database was gone) they see when they look at their share anew.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

import structlog

from vendetta.errors import NodeNotFound
from vendetta.ssh.pool import Pool
from vendetta.store import Store

from .links import Links
from .monitor import Monitor
from .shares import Shares

log = structlog.get_logger(__name__)

Wish = Literal["add", "follow", "rest", "reroute", "forget"]
TOPIC = "nodes"
LOOK_SECONDS, LOOKS = 0.1, 100
"""While the watcher logs in: then whoever asked gets what is known by then."""


class Wishes:
    def __init__(self, store: Store, shares: Shares, pool: Pool, links: Links, monitor: Monitor) -> None:
        self._store = store
        self._shares = shares
        self._pool = pool
        self._links = links
        self._monitor = monitor

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    async def add(self, node: str) -> None:
        """It was recorded just now: somebody watches it from now on."""
        await self._say("add", node)

    async def follow(self, node: str) -> None:
        """Its link is wanted, and tried again now. Where another replica watches it, returns once that has tried.

        Raises `NodeNotFound`.
        """
        known = await self._store.nodes.update(node, wanted=True)
        elsewhere = self._shares.claim(node) is None
        if elsewhere and known.status != "connected":
            await self._store.nodes.update(node, status="connecting", reason=None)
        await self._say("follow", node)
        if elsewhere:
            await self._tried(node)

    async def rest(self, node: str, reason: str) -> None:
        """Its link is wanted no more. Raises `NodeNotFound`."""
        await self._store.nodes.update(node, wanted=False)
        await self._do("rest", node)
        await self._links.settled()
        await self._store.nodes.update(node, status="unknown", reason=reason)
        await self._tell("rest", node)

    async def reroute(self, node: str) -> None:
        """It is reached in another way from now on."""
        await self._say("reroute", node)

    async def forget(self, node: str) -> None:
        """It is about to be removed. Every link to it is closed."""
        await self._say("forget", node)

    async def _say(self, wish: Wish, node: str) -> None:
        await self._do(wish, node)
        await self._tell(wish, node)

    async def _tell(self, wish: Wish, node: str) -> None: ...

    async def _do(self, wish: Wish, node: str) -> None:
        """This replica's part of it."""
        claim = self._shares.claim(node)
        match wish:
            case "add":
                await self._shares.settle()
            case "follow":
                if claim:
                    self._monitor.follow(claim)
            case "rest":
                await self._monitor.unfollow(node)
                await self._pool.disconnect(node)
                self._links.closed(node)
            case "reroute":
                watched = self._monitor.follows(node)
                await self._monitor.unfollow(node)
                await self._pool.disconnect(node)
                if watched and claim:
                    self._monitor.follow(claim)
            case "forget":
                await self._shares.drop(node)
                await self._pool.disconnect(node)

    async def _tried(self, node: str) -> None:
        """Looked at again and again: it is for the moment in which another replica logs in."""
        with suppress(NodeNotFound):
            for _ in range(LOOKS):
                if (await self._store.nodes.get(node)).status != "connecting":
                    return
                await asyncio.sleep(LOOK_SECONDS)
