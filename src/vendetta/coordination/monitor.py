"""Keeps watch over the nodes of this replica's share: connects, learns what is there, follows the engines' events.

One task a node, under the claim by which it is held: what is seen is written as long as that counts. What goes wrong
with one node never touches another, and a lost link changes nothing but the link: workspaces become *unknown*.

Beyond `max_connections` the idlest nodes rest: their link is closed, and they are visited in turn instead.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import structlog

from vendetta.errors import Busy, InstanceNotFound, LinkError, NodeNotFound, VendettaError
from vendetta.models import Event, Node
from vendetta.providers.base import Provider
from vendetta.providers.powers import InstanceEvent, Watch
from vendetta.ssh.breaker import HOPELESS, build_pause
from vendetta.ssh.connection import Connection
from vendetta.ssh.pool import Pool
from vendetta.store import Claim, LeaseLost, Store, StoreUnavailable

from .engines import Engines, build_endpoint
from .events import Events
from .links import Links
from .observation import Observation
from .probe import probe
from .shares import Shares

log = structlog.get_logger(__name__)

FEWEST_FAILURES = 3
"""A node isn't offline before this many tries failed, however long they took."""
SAFETY_SECONDS = 900.0
"""How often everything is read again in full, in case an event stream missed something."""
FIRST_ROUND, LATER_ROUNDS = (0.0, 1.0), (0.8, 1.2)
"""Parts of that time: nodes that were met together are not asked together for ever after."""
ROUND_SECONDS = 60.0
"""How often, of a node whose events can't be listened to: one that rests, or spares its sessions.

Sooner where an engine doesn't answer that did: after pauses that grow up to `LONGEST_SECONDS`.
"""

STORE_SECONDS = 5.0
"""How soon a node is asked again where what it said could not be written."""


class Monitor:
    def __init__(
        self,
        store: Store,
        events: Events,
        pool: Pool,
        engines: Engines,
        links: Links,
        observation: Observation,
        shares: Shares,
        *,
        node_timeout_seconds: float,
    ) -> None:
        self._store = store
        self._events = events
        self._pool = pool
        self._engines = engines
        self._links = links
        self._observation = observation
        self._shares = shares
        self._node_timeout = node_timeout_seconds
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._claims: dict[str, Claim] = {}
        self._nudges: dict[str, asyncio.Event] = {}

    async def __aenter__(self) -> Self:
        self._links.on_connected(self._nudge)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watches.values():
            task.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)

    def follow(self, claim: Claim) -> None:
        """The node's link is wanted. Followed already: it is tried again now rather than later."""
        name = claim.node
        watch = self._watches.get(name)
        if watch and not watch.done() and self._claims[name] == claim:
            self._nudge(name)
            return
        if watch:
            watch.cancel()  # under an older claim
        self._nudges[name] = asyncio.Event()
        self._claims[name] = claim
        self._watches[name] = asyncio.create_task(self._watch(claim), name=f"monitor {name}")

    async def unfollow(self, name: str) -> None:
        if task := self._watches.pop(name, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._nudges.pop(name, None)
        self._claims.pop(name, None)

    def follows(self, name: str) -> bool:
        return name in self._watches

    def release(self, name: str) -> None:
        """Another replica watches it now: its link is closed, unless somebody uses it."""
        self._pool.release(name)

    async def refresh(self, name: str) -> Node:
        """Asks the node everything, now, for somebody who asked here. Raises `NodeNotFound`, `LinkError`."""
        async with self._engines.connection(name) as connection:
            return await self._learn(await self._store.nodes.get(name), connection, self._shares.claim(name))

    async def _watch(self, claim: Claim) -> None:
        """Until the node is gone, or another replica's to watch."""
        with self._pool.watching(claim.node):
            while True:
                try:
                    return await self._keep_asking(claim)
                except NodeNotFound:
                    return None
                except LeaseLost:
                    self._shares.lost(claim)
                    return None
                except Exception:
                    # what goes wrong with one node must not end the watch over it
                    log.exception("watching a node failed", node=claim.node)
                await self._nudged(claim.node, ROUND_SECONDS)

    async def _keep_asking(self, claim: Claim) -> None:
        name = claim.node
        failures, setbacks, spread, had = 0, 0, FIRST_ROUND, await self._healthy(name)
        while True:
            try:
                connection, node = await self._visit(claim)
                failures, setbacks = 0, setbacks + 1 if is_unwell(node, had) else 0
                had |= {kind for kind, status in node.providers.items() if status.state == "healthy"}
                listened = await self._stay(claim, connection, node, setbacks, random.uniform(*spread))  # noqa: S311
                spread = LATER_ROUNDS
                if not listened:
                    await self._nudged(name, build_pause(1, random.random()))  # noqa: S311
            except NodeNotFound:
                raise
            except HOPELESS as exc:
                await self._lost(claim, exc)
                await self._nudged(name, None)
            except LinkError as exc:
                failures += 1
                await self._lost(claim, exc)
                await self._check_offline(name, failures, exc)
                await self._nudged(name, self._pause(name, failures))
            except Busy as exc:
                self._links.waiting(name, exc.message)
                await self._nudged(name, ROUND_SECONDS)
            except StoreUnavailable:
                # says nothing about the node
                await self._nudged(name, STORE_SECONDS * (0.5 + random.random()))  # noqa: S311
            except VendettaError as exc:
                log.warning("node can't be watched", node=name, error=exc.message, exc_info=exc)
                await self._nudged(name, ROUND_SECONDS)

    async def _healthy(self, name: str) -> set[str]:
        """The engines that answered when the node was asked last."""
        with suppress(NodeNotFound):
            known = (await self._store.nodes.get(name)).providers
            return {kind for kind, status in known.items() if status.state == "healthy"}
        return set()

    async def _visit(self, claim: Claim) -> tuple[Connection, Node]:
        name = claim.node
        node = await self._store.nodes.get(name)
        async with self._pool.visit(build_endpoint(node)) as connection:
            node = await self._learn(node, connection, claim)
        # that it was connected just now needs no second visit
        self._nudges[name].clear()
        return connection, node

    async def _stay(self, claim: Claim, connection: Connection, node: Node, setbacks: int, jitter: float) -> bool:
        """Until everything is to be read again: with the engines' events for as long as the link stands.

        Raises `LinkError` where it is lost. Where it rests, whoever opens it ends the stay. False: an engine's events
        ended before the time.
        """
        undisturbed = build_pause(setbacks) if setbacks else SAFETY_SECONDS
        seconds = ROUND_SECONDS if connection.spares_sessions else undisturbed
        listened = await self._follow_engines(claim, connection, node, seconds * jitter)
        if connection.closed:
            if connection.error:
                raise connection.error
            await self._nudged(node.name, ROUND_SECONDS * jitter)
            return True
        return listened

    def _pause(self, name: str, failures: int) -> float | None:
        """As the breaker says, which saw the logins; else what failed is asking a node whose link stands."""
        breaker = self._pool.breaker(name)
        if breaker and breaker.state == "open":
            return breaker.wait_seconds()
        return build_pause(failures, random.random())  # noqa: S311

    async def _learn(self, before: Node, connection: Connection, claim: Claim | None) -> Node:
        name = before.name
        findings = await probe(connection, self._engines)
        if before.status == "offline":
            self._links.answered(name)
            await self._links.settled()
        told: list[Event] = []
        async with self._store.transaction(claim) as state:
            node = await state.nodes.update(
                name,
                resources=findings.resources,
                providers=findings.providers,
                capabilities=findings.capabilities,
                latency_seconds=findings.latency_seconds,
                last_seen=datetime.now(UTC),
            )
            for kind, status in findings.providers.items():
                known = before.providers.get(kind)
                if known and known.state != status.state:
                    data = {"provider": kind, "before": known.state, "reason": status.reason}
                    told.append(await state.events.append(f"engine.{status.state}", name, "server", data))
        for event in told:
            await self._events.announce(event)
        for kind, status in findings.providers.items():
            if status.state == "healthy":
                provider = self._engines.bind(connection, kind)
                await self._observation.under(claim).record_all(name, kind, await provider.list())
        return node

    async def _follow_engines(self, claim: Claim, connection: Connection, node: Node, seconds: float) -> bool:
        """Engine events as they come, until the link ends, or it is time; or those of an engine end, which is False."""
        followers = [
            asyncio.create_task(self._follow_engine(claim, provider, provider.watch()))
            for kind, status in node.providers.items()
            # where sessions are short they belong to those who ask; everything is read again at times anyway
            if status.state == "healthy" and not connection.spares_sessions
            if isinstance(provider := self._engines.bind(connection, kind), Watch)
        ]
        end = asyncio.create_task(connection.wait_closed())
        try:
            ended, _ = await asyncio.wait([end, *followers], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in (end, *followers):
                task.cancel()
            await asyncio.gather(end, *followers, return_exceptions=True)
        return end in ended or not ended

    async def _follow_engine(self, claim: Claim, provider: Provider, events: AsyncIterator[InstanceEvent]) -> None:
        # the stream's end says that the engine or the link went: the next full reading tells which
        with suppress(VendettaError):
            async for event in events:
                try:
                    instance = await provider.inspect(event.name)
                except InstanceNotFound:
                    instance = None
                await self._observation.under(claim).record_one(claim.node, event.name, instance)

    async def _lost(self, claim: Claim, error: VendettaError) -> None:
        await self._observation.under(claim).lose(claim.node, f"node {claim.node} can't be asked: {error.message}")

    async def _check_offline(self, name: str, failures: int, error: VendettaError) -> None:
        await self._links.settled()
        node = await self._store.nodes.get(name)
        silent_since = node.last_seen or node.since
        silent = (datetime.now(UTC) - silent_since).total_seconds()
        if node.status != "offline" and failures >= FEWEST_FAILURES and silent >= self._node_timeout:
            self._links.offline(name, f"no answer for {silent:.0f} s: {error.message}")

    def _nudge(self, name: str) -> None:
        if nudge := self._nudges.get(name):
            nudge.set()

    async def _nudged(self, name: str, seconds: float | None) -> None:
        nudge = self._nudges[name]
        with suppress(TimeoutError):
            await asyncio.wait_for(nudge.wait(), seconds)
        nudge.clear()


def is_unwell(node: Node, had: Collection[str]) -> bool:
    """Whether an engine that it `had` doesn't answer any more: it may have been stopped.

    One that never was healthy isn't looked at more often for it: it waits for somebody to mend it.
    """
    return any(status.state != "healthy" for kind, status in node.providers.items() if kind in had)
