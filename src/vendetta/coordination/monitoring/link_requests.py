"""What people want of a node's link: said to any replica, kept in the database, done by the one that watches the node.

The others are told by the news. What they miss (their database was gone) they see when they look at their share anew.
What became of the link is for the watcher alone to write; whoever asked elsewhere hears from it when that is done.
"""

import asyncio
import uuid
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
import structlog

from vendetta.coordination.cluster import NodeAssignment
from vendetta.coordination.cluster.credentials import Credentials
from vendetta.ssh.pool import Pool
from vendetta.store import Store, StoreUnavailable
from vendetta.tasks import cancel_and_wait

from .link_status import CLOSED, LinkStatus
from .monitor import Monitor

log = structlog.get_logger(__name__)

Verb = Literal["add", "follow", "rest", "reroute", "forget"]
TOPIC = "nodes"
ANSWER_SECONDS = 10.0
"""How long the watcher is waited for: then whoever asked gets what is known by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """`by` is the replica that was asked, `id` what it waits for the answer to, where it does."""

    wish: Verb
    node: str
    by: str
    reason: str = CLOSED
    id: str | None = None


class LinkRequests:
    def __init__(
        self,
        store: Store,
        shares: NodeAssignment,
        pool: Pool,
        links: LinkStatus,
        monitor: Monitor,
        credentials: Credentials,
    ) -> None:
        self._store = store
        self._shares = shares
        self._pool = pool
        self._links = links
        self._monitor = monitor
        self._credentials = credentials
        self._heard: asyncio.Queue[LinkRequest | str | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Event] = {}
        self._wait_for_try: defaultdict[str, list[str]] = defaultdict(list)

    async def __aenter__(self) -> Self:
        self._end_listening = self._store.news.listen(TOPIC, self._hear)
        self._end_hearing = self._monitor.tried.listen(self._tried)
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_listening()
        self._end_hearing()
        await cancel_and_wait(self._task)

    async def add(self, node: str) -> None:
        """It was recorded just now: somebody watches it from now on."""
        await self._say("add", node)

    async def follow(self, node: str) -> None:
        """Its link is wanted, and tried again now. Where another replica watches it, returns once that has tried.

        Raises `NodeNotFound`.
        """
        known = await self._store.nodes.update(node, wanted=True)
        await self._say("follow", node, answered=known.status != "connected")

    async def rest(self, node: str, reason: str) -> None:
        """Its link is wanted no more. Raises `NodeNotFound`."""
        await self._store.nodes.update(node, wanted=False)
        await self._say("rest", node, reason=reason, answered=True)

    async def reroute(self, node: str) -> None:
        """It is reached in another way from now on."""
        await self._say("reroute", node)

    async def forget(self, node: str) -> None:
        """It is about to be removed: not followed any more, and every link to it is closed. Raises `NodeNotFound`."""
        await self._store.nodes.update(node, wanted=False)
        await self._say("forget", node)

    async def _say(self, verb: Verb, node: str, *, reason: str = CLOSED, answered: bool = False) -> None:
        """`answered`: where another replica watches the node, returns once that has done its part."""
        # whoever is told to log in must find the host keys that were accepted here
        await self._credentials.settled()
        number = uuid.uuid4().hex if answered and self._shares.claim(node) is None else None
        wish = LinkRequest(wish=verb, node=node, by=self._shares.replica, reason=reason, id=number)
        await self._do(wish)
        if number is None:
            await self._tell(wish)
            return
        done = self._answers[number] = asyncio.Event()
        try:
            await self._tell(wish)
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await done.wait()
        finally:
            del self._answers[number]

    async def _tell(self, wish: LinkRequest) -> None:
        await self._store.news.notify(TOPIC, msgspec.to_builtins(wish))

    def _hear(self, payload: dict[str, Any] | None) -> None:
        if payload is None:
            self._heard.put_nowait(None)
        elif "done" in payload:
            if done := self._answers.get(payload["done"]):
                done.set()
        elif payload["by"] != self._shares.replica:
            self._heard.put_nowait(msgspec.convert(payload, LinkRequest))

    def _tried(self, node: str) -> None:
        for number in self._wait_for_try.pop(node, ()):
            self._heard.put_nowait(number)

    async def _work(self) -> None:
        """What was said at other replicas, in its order, and what they are to be answered."""
        while True:
            heard = await self._heard.get()
            try:
                if heard is None:
                    await self._catch_up()
                elif isinstance(heard, str):
                    await self._answer(heard)
                else:
                    await self._do(heard)
            except StoreUnavailable as exc:
                # it is looked up once the database is back: that news may have been missed is told then
                log.warning("what was wanted elsewhere is not known", reason=exc.message)
            except Exception as exc:
                log.warning("what was wanted elsewhere is not done", wish=heard, error=str(exc), exc_info=exc)

    async def _catch_up(self) -> None:
        """Something may have been said that was not heard: what it came to is in the database."""
        mine = self._shares.claims()
        known = await self._store.claims.held(self._shares.replica)
        for claim in mine:
            if claim not in known:
                await self._shares.drop(claim.node)
            elif known[claim] != self._monitor.follows(claim.node):
                missed: Verb = "follow" if known[claim] else "rest"
                await self._do(LinkRequest(wish=missed, node=claim.node, by=self._shares.replica))

    async def _do(self, wish: LinkRequest) -> None:
        """This replica's part of it."""
        node = wish.node
        claim = self._shares.claim(node)
        match wish.wish:
            case "add":
                await self._shares.settle()
            case "follow":
                if claim:
                    if wish.id:
                        self._wait_for_try[node].append(wish.id)
                    self._monitor.follow(claim)
            case "rest":
                await self._monitor.unfollow(node)
                # first, so that why it is closed is what is told
                self._links.closed(node, wish.reason)
                await self._pool.disconnect(node)
                await self._links.settled()
                if claim and wish.id:
                    await self._answer(wish.id)
            case "reroute":
                watched = self._monitor.follows(node)
                await self._monitor.unfollow(node)
                await self._pool.disconnect(node)
                if watched and claim:
                    self._monitor.follow(claim)
            case "forget":
                await self._shares.drop(node)
                await self._pool.disconnect(node)

    async def _answer(self, id: str) -> None:
        """It is done, and what came of it is written."""
        await self._links.settled()
        await self._store.news.notify(TOPIC, {"done": id})
