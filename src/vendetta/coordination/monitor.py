"""Keeps watch over the nodes of this replica's share: connects, learns what is there, follows the engines' events.

One task a node, under the claim by which it is held: what is seen is written as long as that counts. What goes wrong
with one node never touches another, and a lost link changes nothing but the link: workspaces become *unknown*.
Durations are by the event loop's clock, which nobody sets.

Beyond `max_connections` the idlest nodes rest: their link is closed, and they are visited in turn instead.
"""

import asyncio
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import structlog

from vendetta.errors import Busy, LinkError, NodeNotFound, VendettaError
from vendetta.models import Event, Node, Workspace
from vendetta.ssh.breaker import HOPELESS, build_pause
from vendetta.ssh.connection import Connection
from vendetta.ssh.pacing import Limit
from vendetta.ssh.pool import Pool
from vendetta.store import Claim, LeaseLost, Store, StoreUnavailable
from vendetta.store.workspaces import Workspaces

from .engines import Engines, build_endpoint
from .events import Events
from .following import Following, is_followed
from .links import Links
from .observation import Observation
from .patience import until_stored
from .probe import Findings, probe
from .shares import Shares
from .silence import Silence

log = structlog.get_logger(__name__)

SAFETY_SECONDS = 900.0
"""How often everything is read again in full, in case an event stream missed something."""
FIRST_ROUND, LATER_ROUNDS = (0.0, 1.0), (0.8, 1.2)
"""Parts of that time: nodes that were met together are not asked together for ever after."""
ASKED_AT_ONCE = 16
"""Of nodes: a thousand that are back at once would keep the store from each other until all gave up."""
ROUND_SECONDS = 60.0
"""How often, of a node whose events can't be listened to: one that rests, or spares its sessions.

Sooner where an engine doesn't answer that did: after pauses that grow up to `LONGEST_SECONDS`.
"""
REFRESHED = 3
"""How often it is asked again for somebody where it changes hands meanwhile."""
MOST_NAMES = 100
"""So many workspaces are named in one event."""
STORE_SECONDS = 5.0
"""How soon a node is asked again where what it said could not be written."""
LISTEN_SECONDS = 1.0
"""How often it is looked who has fallen silent. Nothing is asked for it: the links tell."""


def clock() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True, eq=False)
class Watched:
    """A node that is watched. `kinds` are the technologies of its workspaces; `nudge` is set when it's worth a look."""

    claim: Claim
    silence: Silence
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    kinds: set[str] = field(default_factory=set)
    task: "asyncio.Task[None] | None" = None

    @property
    def goes_on(self) -> bool:
        return self.task is not None and not self.task.done()


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
        self._watched: dict[str, Watched] = {}
        self._asking = Limit(ASKED_AT_ONCE)
        self._on_round_trip: Callable[[float], None] = lambda seconds: None
        self._on_tried: Callable[[str], None] = lambda node: None
        self._listening: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._links.on_connected(self._nudge)
        self._observation.on_transition(self._expect)
        self._listening = asyncio.create_task(self._listen(), name="listen for silent nodes")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watches = (each.task for each in self._watched.values())
        tasks = [task for task in (self._listening, *watches, *self._telling) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_round_trip(self, listener: Callable[[float], None]) -> None:
        """From now on `listener` hears how long each round trip to a node took, in seconds."""
        self._on_round_trip = listener

    def on_tried(self, listener: Callable[[str], None]) -> None:
        """From now on `listener` hears of each node that was visited, whether it could be or not."""
        self._on_tried = listener

    def follow(self, claim: Claim) -> None:
        """The node's link is wanted. Followed already: it is tried again now rather than later."""
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
        watched = self._watched.pop(name, None)
        if watched and watched.task:
            watched.task.cancel()
            await asyncio.gather(watched.task, return_exceptions=True)

    def follows(self, name: str) -> bool:
        return name in self._watched

    def release(self, name: str) -> None:
        """Another replica watches it now: its link is closed, unless somebody uses it."""
        self._pool.release(name)

    async def refresh(self, name: str) -> Node:
        """Asks the node everything, now, for somebody who asked here. Raises `NodeNotFound`, `LinkError`, `Busy`."""
        async with self._engines.connection(name) as connection:
            for _ in range(REFRESHED):
                claim = await self._shares.borrow(name)
                try:
                    return await self._learn(await self._store.nodes.get(name), connection, claim)
                except LeaseLost:
                    self._shares.lost(claim)
        raise Busy(f"node {name} went to another replica while it was asked", hint="Ask again.")

    async def _watch(self, watched: Watched) -> None:
        """Until the node is gone, or another replica's to watch."""
        claim = watched.claim
        with self._pool.watching(claim.node):
            while True:
                try:
                    return await self._keep_asking(watched)
                except NodeNotFound:
                    return None
                except LeaseLost:
                    self._shares.lost(claim)
                    return None
                except Exception:
                    # what goes wrong with one node must not end the watch over it
                    log.exception("watching a node failed", node=claim.node)
                await nudged(watched, ROUND_SECONDS)

    async def _keep_asking(self, watched: Watched) -> None:
        name, silence = watched.claim.node, watched.silence
        failures, setbacks, spread, had = 0, 0, FIRST_ROUND, await self._healthy(name)
        listened = True
        while True:
            try:
                connection, node = await self._visit(watched, listens=listened)
                silence.answered(clock())
                failures, setbacks = 0, setbacks + 1 if is_unwell(node, had) else 0
                had |= {kind for kind, status in node.providers.items() if status.state == "healthy"}
                listened = await self._stay(watched, connection, node, setbacks, random.uniform(*spread))  # noqa: S311
                spread = LATER_ROUNDS
                if not listened:
                    await nudged(watched, build_pause(1, random.random()))  # noqa: S311
            except NodeNotFound:
                raise
            except HOPELESS as exc:
                await self._lost(watched.claim, exc)
                await nudged(watched, None)
            except LinkError as exc:
                failures += 1
                silence.failed(clock(), exc.message)
                await self._lost(watched.claim, exc)
                await nudged(watched, self._pause(name, failures))
            except Busy as exc:
                self._links.waiting(name, exc.message)
                await nudged(watched, ROUND_SECONDS)
            except StoreUnavailable:
                # says nothing about the node
                await nudged(watched, STORE_SECONDS * (0.5 + random.random()))  # noqa: S311
            except VendettaError as exc:
                log.warning("node can't be watched", node=name, error=exc.message, exc_info=exc)
                await nudged(watched, ROUND_SECONDS)

    async def _healthy(self, name: str) -> set[str]:
        """The engines that answered when the node was asked last."""
        with suppress(NodeNotFound):
            known = (await self._store.nodes.get(name)).providers
            return {kind for kind, status in known.items() if status.state == "healthy"}
        return set()

    async def _visit(self, watched: Watched, *, listens: bool) -> tuple[Connection, Node]:
        """`listens`: an engine whose events are followed from now on is read in full then, and not before."""
        claim = watched.claim
        await self._links.settled()  # that it was said to be offline a moment ago is known then
        node = await self._store.nodes.get(claim.node)
        try:
            async with self._pool.visit(build_endpoint(node)) as connection, self._asking.turn():
                watched.kinds |= await self._store.workspaces.kinds(claim.node)
                node = await self._learn(node, connection, claim, followed=watched.kinds if listens else ())
        finally:
            self._on_tried(claim.node)
        # that it was connected just now needs no second visit
        watched.nudge.clear()
        return connection, node

    async def _stay(self, watched: Watched, connection: Connection, node: Node, setbacks: int, jitter: float) -> bool:
        """Until everything is to be read again: with the engines' events for as long as the link stands.

        Raises `LinkError` where it is lost. Where it rests, whoever opens it ends the stay. False: an engine's events
        ended before the time.
        """
        undisturbed = build_pause(setbacks) if setbacks else SAFETY_SECONDS
        seconds = ROUND_SECONDS if connection.spares_sessions else undisturbed
        observation = self._observation.under(watched.claim)
        following = Following(self._engines, observation, watched.kinds, watched.nudge)
        listened = await following.follow(connection, node, seconds * jitter)
        if connection.closed:
            if connection.error:
                raise connection.error
            await nudged(watched, ROUND_SECONDS * jitter)
            return True
        return listened

    def _pause(self, name: str, failures: int) -> float | None:
        """As the breaker says, which saw the logins; else what failed is asking a node whose link stands."""
        breaker = self._pool.breaker(name)
        if breaker and breaker.state == "open":
            return breaker.wait_seconds()
        return build_pause(failures, random.random())  # noqa: S311

    async def _learn(
        self, before: Node, connection: Connection, claim: Claim, *, followed: Collection[str] = ()
    ) -> Node:
        name = before.name
        findings = await probe(connection, self._engines)
        self._on_round_trip(findings.latency_seconds)
        if before.status == "offline":
            self._links.answered(name)
            await self._links.settled()
        told: list[Event] = []
        async with self._store.transaction(claim) as state:
            # as it is now: whoever else has looked at it meanwhile has told what was new by then
            before = await state.nodes.get(name)
            node = await state.nodes.update(
                name,
                resources=findings.resources,
                providers=findings.providers,
                capabilities=findings.capabilities,
                latency_seconds=findings.latency_seconds,
                last_seen=datetime.now(UTC),
                boot_id=findings.boot_id,
            )
            if before.boot_id and findings.boot_id and before.boot_id != findings.boot_id:
                data = await self._describe_reboot(before, findings, state.workspaces)
                told.append(await state.events.append("node.rebooted", name, "server", data))
            for kind, status in findings.providers.items():
                known = before.providers.get(kind)
                if known and known.state != status.state:
                    data = {"provider": kind, "before": known.state, "reason": status.reason}
                    told.append(await state.events.append(f"engine.{status.state}", name, "server", data))
        for event in told:
            await self._events.announce(event)
        await self._survey(node, connection, claim, followed)
        return node

    async def _describe_reboot(self, before: Node, findings: Findings, workspaces: Workspaces) -> dict[str, Any]:
        """With what should be running there."""
        there = await workspaces.all(node=before.name)
        wanted = [workspace.name for workspace in there if workspace.wanted == "running"]
        return {
            "before": before.boot_id,
            "after": findings.boot_id,
            "booted_at": findings.booted_at.isoformat() if findings.booted_at else None,
            "wanted": wanted[:MOST_NAMES],
            "wanted_count": len(wanted),
        }

    async def _survey(self, node: Node, connection: Connection, claim: Claim, followed: Collection[str]) -> None:
        """What became of the node's workspaces: unknown where their engine can't be asked."""
        observation = self._observation.under(claim)
        for kind in sorted(await self._store.workspaces.kinds(node.name)):
            status = node.providers.get(kind)
            if status and status.state == "healthy":
                provider = self._engines.bind(connection, kind)
                if kind not in followed or not is_followed(provider, connection):
                    await observation.survey(node.name, kind, provider)
            else:
                why = status.reason if status and status.reason else "this server doesn't know it"
                reason = f"{kind} on node {node.name} can't be asked: {why}"
                await observation.lose(node.name, reason, kinds=[kind])

    async def _listen(self) -> None:
        """Who is silent for long enough is offline, be it on a link that stands; and back as soon as it answers."""
        while True:
            await asyncio.sleep(LISTEN_SECONDS)
            for name, watched in list(self._watched.items()):
                if watched.goes_on:
                    self._hear(name, watched)

    def _hear(self, name: str, watched: Watched) -> None:
        now, silence = clock(), watched.silence
        connection = self._pool.connection(name)
        if connection and connection.unanswered:
            since, questions = now - connection.silent_seconds, connection.unanswered
            silence.unanswered(since, questions, f"{questions} times it was asked on the link that stands")
        elif connection:
            if silence.told:
                # asked everything again, which tells what was missed
                watched.nudge.set()
            silence.answered(now)
        if not silence.told and silence.is_over(now, self._node_timeout):
            silence.told = True
            reason = f"no answer for {now - silence.heard:.0f} s: {silence.error}"
            self._telling.add(task := asyncio.create_task(self._tell_offline(watched, reason)))
            task.add_done_callback(self._telling.discard)

    async def _tell_offline(self, watched: Watched, reason: str) -> None:
        """Its workspaces come first: whoever hears of the node finds them so. Nothing where it answers meanwhile."""
        claim = watched.claim
        with suppress(LeaseLost):
            why = f"node {claim.node} can't be asked: {reason}"
            await until_stored(lambda: self._observation.under(claim).lose(claim.node, why))
        if watched.silence.told:
            self._links.offline(claim.node, reason)

    async def _lost(self, claim: Claim, error: VendettaError) -> None:
        await self._observation.under(claim).lose(claim.node, f"node {claim.node} can't be asked: {error.message}")

    def _nudge(self, name: str) -> None:
        if watched := self._watched.get(name):
            watched.nudge.set()

    def _expect(self, workspace: Workspace) -> None:
        """An operation is about to change it: the engine's events are worth following from now on."""
        watched = self._watched.get(workspace.node)
        if watched and workspace.provider not in watched.kinds:
            watched.kinds.add(workspace.provider)
            watched.nudge.set()


async def nudged(watched: Watched, seconds: float | None) -> None:
    """Returns when it is worth a look, or the time is over."""
    # not `wait_for`: before Python 3.12 it may swallow that it is cancelled, and the watch would never end
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await watched.nudge.wait()
    watched.nudge.clear()


def is_unwell(node: Node, had: Collection[str]) -> bool:
    """Whether an engine that it `had` doesn't answer any more: it may have been stopped.

    One that never was healthy isn't looked at more often for it: it waits for somebody to mend it.
    """
    return any(status.state != "healthy" for kind, status in node.providers.items() if kind in had)
