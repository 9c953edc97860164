"""Pass what people want of a node's link from the replica that was asked to the one that watches the node.

The request is kept in the database, and sent by its news. What a replica misses while the database is away it finds
when it looks at its share anew. Only the watcher writes what became of the link; the replica that was asked waits for
its answer.
"""

import asyncio
import uuid
from collections import defaultdict
from contextlib import suppress
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
"""How long the replica that was asked waits for the watcher, before it answers with what is known by then."""


class LinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a node's link.

    `by` is the replica that was asked. `id` names the answer that it waits for, None if it waits for none.
    """

    verb: Verb = msgspec.field(name="wish")  # as replicas of versions before call it
    node: str
    by: str
    reason: str = CLOSED
    id: str | None = None


class LinkRequests:
    """Pass on what people want of links, and do what concerns the nodes that this replica watches."""

    def __init__(
        self,
        store: Store,
        assignment: NodeAssignment,
        pool: Pool,
        links: LinkStatus,
        monitor: Monitor,
        credentials: Credentials,
    ) -> None:
        self._store = store
        self._assignment = assignment
        self._pool = pool
        self._links = links
        self._monitor = monitor
        self._credentials = credentials
        self._received: asyncio.Queue[LinkRequest | str | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Event] = {}
        self._wait_for_try: defaultdict[str, list[str]] = defaultdict(list)

    async def __aenter__(self) -> Self:
        self._end_listening = self._store.news.listen(TOPIC, self._receive)
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_listening()
        await cancel_and_wait(self._task)

    def note_try(self, node: str) -> None:
        """Answer those who wait until the node has been visited: it was, whether it could be read or not."""
        for number in self._wait_for_try.pop(node, ()):
            self._received.put_nowait(number)

    async def add(self, node: str) -> None:
        """Announce a node that was recorded just now, so that a replica watches it."""
        await self._pass_on("add", node)

    async def follow(self, node: str) -> None:
        """Record that the node's link is wanted, and try it now. Raises `NodeNotFound`.

        If another replica watches the node, this returns once that one has tried, or after `ANSWER_SECONDS`.
        """
        known = await self._store.nodes.update(node, wanted=True)
        await self._pass_on("follow", node, answered=known.status != "connected")

    async def rest(self, node: str, reason: str) -> None:
        """Record that the node's link is wanted no more, and close it. `reason` is shown. Raises `NodeNotFound`.

        If another replica watches the node, this returns once that one has closed it, or after `ANSWER_SECONDS`.
        """
        await self._store.nodes.update(node, wanted=False)
        await self._pass_on("rest", node, reason=reason, answered=True)

    async def reroute(self, node: str) -> None:
        """Close the node's links, and connect anew if it is watched: it is reached in another way from now on."""
        await self._pass_on("reroute", node)

    async def forget(self, node: str) -> None:
        """Stop following a node that is about to be removed, and close every link to it. Raises `NodeNotFound`."""
        await self._store.nodes.update(node, wanted=False)
        await self._pass_on("forget", node)

    async def _pass_on(self, verb: Verb, node: str, *, reason: str = CLOSED, answered: bool = False) -> None:
        """Do this replica's part, and pass the request to the others.

        `answered`: if another replica watches the node, return once that one has done its part.
        """
        # the replica that logs in must find the host keys that were accepted here
        await self._credentials.settled()
        number = uuid.uuid4().hex if answered and self._assignment.claim(node) is None else None
        request = LinkRequest(verb=verb, node=node, by=self._assignment.replica, reason=reason, id=number)
        await self._do(request)
        if number is None:
            await self._send(request)
            return
        done = self._answers[number] = asyncio.Event()
        try:
            await self._send(request)
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await done.wait()
        finally:
            del self._answers[number]

    async def _send(self, request: LinkRequest) -> None:
        await self._store.news.notify(TOPIC, msgspec.to_builtins(request))

    def _receive(self, payload: dict[str, Any] | None) -> None:
        if payload is None:
            self._received.put_nowait(None)
        elif "done" in payload:
            if done := self._answers.get(payload["done"]):
                done.set()
        elif payload["by"] != self._assignment.replica:
            self._received.put_nowait(msgspec.convert(payload, LinkRequest))

    async def _work(self) -> None:
        """Do what was asked at other replicas, in its order, and send the answers that they wait for."""
        while True:
            received = await self._received.get()
            try:
                if received is None:
                    await self._catch_up()
                elif isinstance(received, str):
                    await self._answer(received)
                else:
                    await self._do(received)
            except StoreUnavailable as exc:
                # `_receive(None)` comes once the database is back, and what was missed is looked up
                log.warning("what was wanted elsewhere is not known", reason=exc.message)
            except Exception as exc:
                log.warning("what was wanted elsewhere is not done", request=received, error=str(exc), exc_info=exc)

    async def _catch_up(self) -> None:
        """Follow and drop nodes as the database says: requests may have been missed."""
        mine = self._assignment.claims()
        known = await self._store.claims.held(self._assignment.replica)
        for claim in mine:
            if claim not in known:
                await self._assignment.drop(claim.node)
            elif known[claim] != self._monitor.follows(claim.node):
                missed: Verb = "follow" if known[claim] else "rest"
                await self._do(LinkRequest(verb=missed, node=claim.node, by=self._assignment.replica))

    async def _do(self, request: LinkRequest) -> None:
        """Do this replica's part of a request."""
        node = request.node
        claim = self._assignment.claim(node)
        match request.verb:
            case "add":
                await self._assignment.settle()
            case "follow":
                if claim:
                    if request.id:
                        self._wait_for_try[node].append(request.id)
                    self._monitor.follow(claim)
            case "rest":
                await self._monitor.unfollow(node)
                # before it is closed, so that this reason is the one that is written
                self._links.closed(node, request.reason)
                await self._pool.disconnect(node)
                await self._links.settled()
                if claim and request.id:
                    await self._answer(request.id)
            case "reroute":
                watched = self._monitor.follows(node)
                await self._monitor.unfollow(node)
                await self._pool.disconnect(node)
                if watched and claim:
                    self._monitor.follow(claim)
            case "forget":
                await self._assignment.drop(node)
                await self._pool.disconnect(node)

    async def _answer(self, id: str) -> None:
        """Tell the replica that waits for `id` that the request is done, once its outcome is written."""
        await self._links.settled()
        await self._store.news.notify(TOPIC, {"done": id})
