"""What people want of a node's link: said to any replica, kept in the database, done by the one that watches the node.

The others are told by the news. What they miss (their database was gone) they see when they look at their share anew.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

import structlog

from vendetta.errors import NodeNotFound
from vendetta.ssh.pool import Pool
from vendetta.store import Store, StoreUnavailable

from .credentials import Credentials
from .links import Links
from .monitor import Monitor
from .shares import Shares

log = structlog.get_logger(__name__)

Wish = Literal["add", "follow", "rest", "reroute", "forget"]
TOPIC = "nodes"
LOOK_SECONDS, LOOKS = 0.1, 100
"""While the watcher logs in: then whoever asked gets what is known by then."""


class Wishes:
    def __init__(
        self, store: Store, shares: Shares, pool: Pool, links: Links, monitor: Monitor, credentials: Credentials
    ) -> None:
        self._store = store
        self._shares = shares
        self._pool = pool
        self._links = links
        self._monitor = monitor
        self._credentials = credentials
        self._heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._end_listening = self._store.news.listen(TOPIC, self._heard.put_nowait)
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_listening()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

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
        """It is about to be removed: not followed any more, and every link to it is closed. Raises `NodeNotFound`."""
        await self._store.nodes.update(node, wanted=False)
        await self._say("forget", node)

    async def _say(self, wish: Wish, node: str) -> None:
        # whoever is told to log in must find the host keys that were accepted here
        await self._credentials.settled()
        await self._do(wish, node)
        await self._tell(wish, node)

    async def _tell(self, wish: Wish, node: str) -> None:
        await self._store.news.notify(TOPIC, {"wish": wish, "node": node, "by": self._shares.replica})

    async def _work(self) -> None:
        """What was said at other replicas, in its order."""
        while True:
            said = await self._heard.get()
            try:
                if said is None:
                    await self._catch_up()
                elif said["by"] != self._shares.replica:
                    await self._do(said["wish"], said["node"])
            except StoreUnavailable as exc:
                # it is looked up once the database is back: that news may have been missed is told then
                log.warning("what was wanted elsewhere is not known", reason=exc.message)
            except Exception as exc:
                log.warning("what was wanted elsewhere is not done", said=said, error=str(exc), exc_info=exc)

    async def _catch_up(self) -> None:
        """Something may have been said that was not heard: what it came to is in the database."""
        mine = self._shares.claims()
        known = await self._store.claims.held(self._shares.replica)
        for claim in mine:
            if claim not in known:
                await self._shares.drop(claim.node)
            elif known[claim] != self._monitor.follows(claim.node):
                await self._do("follow" if known[claim] else "rest", claim.node)

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
