"""Watch the nodes of this replica's share: connect, read what is there, follow the engines' events.

One task a node, under the claim by which it is held: what is seen is written as long as that counts. What goes wrong
with one node never touches another, and a lost link changes nothing but the link: workspaces become *unknown*.
Durations are by the event loop's clock, which nobody sets.

Beyond `max_connections` the idlest nodes rest: their link is closed, and they are visited in turn instead (`resting`).
"""

import asyncio
import random
from collections.abc import Collection
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

import structlog

from vendetta.coordination.cluster import NodeAssignment
from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.errors import Busy, LinkError, NodeNotFound, VendettaError
from vendetta.models import Node
from vendetta.signals import Signal
from vendetta.ssh.breaker import HOPELESS, build_pause
from vendetta.ssh.channel import Connection
from vendetta.ssh.login.pacing import Limit
from vendetta.ssh.pool import Pool
from vendetta.store import LeaseLost, NodeClaim, Store, StoreUnavailable
from vendetta.tasks import cancel_and_wait

from .arrivals import Arrivals
from .event_streams import Following
from .link_status import LinkStatus
from .node_reader import NodeReader
from .observation import Observation
from .offline_detector import Heartbeats
from .resting import RestingVisits
from .silence import Silence
from .watched_node import Watched, clock

log = structlog.get_logger(__name__)

SAFETY_SECONDS = 900.0
"""How often everything is read again in full, in case an event stream missed something."""
FIRST_ROUND, LATER_ROUNDS = (0.0, 1.0), (0.8, 1.2)
"""Parts of that time, at random: nodes that were first read together are not read together for ever after."""
ASKED_AT_ONCE = 16
"""The most nodes read at once: a thousand that are back together would wait for the store until all fail."""
ROUND_SECONDS = 60.0
"""How often a node is read whose events can't be followed because it spares its sessions.

Sooner if an engine that has answered doesn't any more: after pauses that grow up to `LONGEST_SECONDS`.
"""
REFRESHED = 3
"""How often `refresh` begins again because the node went to another replica meanwhile."""
STORE_SECONDS = 5.0
"""How soon a node is read again if the result could not be written."""


class Monitor:
    """Watch the nodes of this replica's share. A node is `offline` after `node_timeout_seconds` without an answer."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        engines: Engines,
        links: LinkStatus,
        observation: Observation,
        reading: NodeReader,
        shares: NodeAssignment,
        *,
        node_timeout_seconds: float,
    ) -> None:
        self._store = store
        self._pool = pool
        self._engines = engines
        self._links = links
        self._observation = observation
        self._reading = reading
        self._shares = shares
        self._watched: dict[str, Watched] = {}
        self._arrivals = Arrivals(store, self._expect)
        self._heartbeats = Heartbeats(
            self._watched, pool, links, observation, node_timeout_seconds=node_timeout_seconds
        )
        self._asking = Limit(ASKED_AT_ONCE)
        self._resting = RestingVisits()
        self.tried: Signal[str] = Signal("a node was visited")
        """Sent with the name of the node, whether it could be read or not."""
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
        await cancel_and_wait(*tasks)

    @property
    def round_trip(self) -> Signal[float]:
        """`NodeReader.round_trip`."""
        return self._reading.round_trip

    def follow(self, claim: NodeClaim) -> None:
        """Watch the node of this claim. If it is watched under the same claim already, try its link now."""
        name = claim.node
        known = self._watched.get(name)
        if known and known.goes_on and known.claim == claim:
            known.nudge.set()
            return
        if known and known.task:
            known.task.cancel()  # under an older claim
        watched = self._watched[name] = Watched(claim, Silence(clock()))
        watched.task = asyncio.create_task(self._watch(watched), name=f"monitor {name}")

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

    async def refresh(self, name: str) -> Node:
        """Read the node in full, now, and return it. Raises `NodeNotFound`, `LinkError`, `Busy`."""
        async with self._engines.connection(name) as connection:
            for _ in range(REFRESHED):
                claim = await self._shares.borrow(name)
                node, kinds = await self._store.nodes.get(name), await self._store.workspaces.kinds(name)
                try:
                    return await self._reading.read(node, connection, claim, kinds)
                except LeaseLost:
                    self._shares.lost(claim)
        raise Busy(f"node {name} went to another replica while it was asked", hint="Ask again.")

    async def _watch(self, watched: Watched) -> None:
        """Watch the node until it is removed or claimed by another replica."""
        claim = watched.claim
        with self._pool.watching(claim.node):
            while True:
                try:
                    observation = self._observation.under(claim)
                    async with Following(self._engines, observation, watched.nudge) as following:
                        return await self._keep_asking(watched, following)
                except NodeNotFound:
                    return None
                except LeaseLost:
                    self._shares.lost(claim)
                    return None
                except Exception:
                    # what goes wrong with one node must not end the watch over it
                    log.exception("watching a node failed", node=claim.node)
                await watched.nudged(ROUND_SECONDS)

    async def _keep_asking(self, watched: Watched, following: Following) -> None:
        name, silence = watched.claim.node, watched.silence
        failures, setbacks, spread, had = 0, 0, FIRST_ROUND, await self._healthy(name)
        listened = True
        while True:
            known_offline = silence.told
            try:
                connection, node = await self._visit(watched, following, listens=listened)
                if silence.told and not known_offline:
                    # it was reported offline while it was read: reading it again takes that back
                    watched.nudge.set()
                silence.answered(clock())
                failures, setbacks = 0, setbacks + 1 if is_unwell(node, had) else 0
                had |= {kind for kind, status in node.providers.items() if status.state == "healthy"}
                jitter = random.uniform(*spread)  # noqa: S311
                listened = await self._stay(watched, following, connection, node, setbacks, jitter)
                spread = LATER_ROUNDS
                if not listened:
                    await watched.nudged(build_pause(1, random.random()))  # noqa: S311
            except NodeNotFound:
                raise
            except HOPELESS as exc:
                await self._lost(watched.claim, exc)
                await watched.nudged(None)
            except LinkError as exc:
                failures += 1
                silence.failed(clock(), exc.message)
                await self._lost(watched.claim, exc)
                await watched.nudged(self._pause(name, failures))
            except Busy as exc:
                self._links.waiting(name, exc.message)
                await watched.nudged(ROUND_SECONDS)
            except StoreUnavailable:
                # says nothing about the node
                await watched.nudged(STORE_SECONDS * (0.5 + random.random()))  # noqa: S311
            except VendettaError as exc:
                log.warning("node can't be watched", node=name, error=exc.message, exc_info=exc)
                await watched.nudged(ROUND_SECONDS)

    async def _healthy(self, name: str) -> set[str]:
        """Return the engines that answered when the node was asked last."""
        with suppress(NodeNotFound):
            known = (await self._store.nodes.get(name)).providers
            return {kind for kind, status in known.items() if status.state == "healthy"}
        return set()

    async def _visit(self, watched: Watched, following: Following, *, listens: bool) -> tuple[Connection, Node]:
        """Read the node over its link, connecting if need be, and return both.

        `listens`: an engine whose events are followed from now on is read in full then, and not before.
        """
        claim = watched.claim
        await self._links.settled()  # so that the status read below is not older than what was reported
        node = await self._store.nodes.get(claim.node)
        try:
            async with self._pool.visit(build_endpoint(node)) as connection, self._asking.turn():
                # that it was connected just now needs no second visit; what comes while it is asked does
                watched.nudge.clear()
                before = frozenset(watched.kinds)
                kinds = await self._store.workspaces.kinds(claim.node)
                # those whose last workspace went aren't followed any longer; one that comes just now is
                watched.kinds = {*kinds, *(watched.kinds - before)}
                left = kinds - following.goes_on(connection) if listens else ()
                node = await self._reading.read(node, connection, claim, kinds, followed=left)
        finally:
            self.tried.send(claim.node)
        return connection, node

    async def _stay(
        self,
        watched: Watched,
        following: Following,
        connection: Connection,
        node: Node,
        setbacks: int,
        jitter: float,
    ) -> bool:
        """Follow the engines' events until everything is to be read again. Raises `LinkError` if the link is lost.

        Returns False if an engine's events ended before the time. If the node rests, its turn or an opened link ends
        the stay.
        """
        undisturbed = build_pause(setbacks) if setbacks else SAFETY_SECONDS
        seconds = ROUND_SECONDS if connection.spares_sessions else undisturbed
        listened = await following.follow(connection, node, watched.kinds, seconds * jitter)
        if connection.closed:
            if connection.error:
                raise connection.error
            await self._resting.wait_for_turn(watched)
            return True
        return listened

    def _pause(self, name: str, failures: int) -> float | None:
        """Return the seconds until the next try, None for none by itself.

        The breaker, which saw the logins, says it; if no login failed, asking over a link that stands did.
        """
        breaker = self._pool.breaker(name)
        if breaker and breaker.state == "open":
            return breaker.wait_seconds()
        return build_pause(failures, random.random())  # noqa: S311

    async def _lost(self, claim: NodeClaim, error: VendettaError) -> None:
        await self._observation.under(claim).lose(claim.node, f"node {claim.node} can't be asked: {error.message}")

    def _nudge(self, name: str) -> None:
        if watched := self._watched.get(name):
            watched.nudge.set()

    def _expect(self, node: str, kind: str) -> None:
        if watched := self._watched.get(node):
            watched.expect(kind)


def is_unwell(node: Node, had: Collection[str]) -> bool:
    """Return whether an engine that it `had` doesn't answer any more: it may have been stopped.

    A node isn't looked at more often for an engine that never was healthy: that waits for a person.
    """
    return any(status.state != "healthy" for kind, status in node.providers.items() if kind in had)
