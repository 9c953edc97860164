"""Read a node in full: what it is, which engines answer, what became of its workspaces; write and announce it.

All of it is asked at once. An engine that answered the last time over the same link is asked for its list beside the
question whether it is well; if the list fails, the answer to that question says why.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from vendetta.coordination.engines import Engines
from vendetta.coordination.events import Events
from vendetta.models import Event, Node
from vendetta.signals import Signal
from vendetta.ssh.channel import Connection
from vendetta.store import NodeClaim, Store
from vendetta.store.workspaces import Workspaces

from .event_streams import is_followed
from .link_status import LinkStatus
from .node_facts import Findings, probe
from .observation import Observation

MOST_NAMES = 100
"""The most workspaces that one event names."""


class NodeReader:
    """Read nodes in full, and write what was found."""

    def __init__(
        self, store: Store, events: Events, engines: Engines, links: LinkStatus, observation: Observation
    ) -> None:
        self._store = store
        self._events = events
        self._engines = engines
        self._links = links
        self._observation = observation
        self._healthy: WeakKeyDictionary[Connection, frozenset[str]] = WeakKeyDictionary()
        """The engines that were well when they were asked last. A machine that restarts has a new connection."""
        self.round_trip: Signal[float] = Signal("a round trip to a node was measured")
        """Sent with its seconds."""

    async def read(
        self,
        before: Node,
        connection: Connection,
        claim: NodeClaim,
        kinds: Collection[str],
        *,
        followed: Collection[str] = (),
    ) -> Node:
        """Read the node, write it with its workspaces, and return it. Raises `LinkError`, `LeaseLost`.

        `kinds` are the technologies of its workspaces; those in `followed` are left to their events, if these can be
        followed.
        """
        ours = self._engines.registry.kinds
        asked = {kind for kind in kinds if kind in ours and not self._is_left(kind, followed, connection)}
        # the event that a node is back comes before any of what is on it
        known = self._healthy.get(connection, frozenset()) if before.status != "offline" else frozenset()
        early = {kind: asyncio.create_task(self._survey(before, connection, claim, kind)) for kind in asked & known}
        try:
            findings = await probe(connection, self._engines)
            healthy = frozenset(kind for kind, status in findings.providers.items() if status.state == "healthy")
            self._healthy[connection] = healthy
            self.round_trip.send(findings.latency_seconds)
            node = await self._write(before, findings, claim)
            if findings.boot_id == before.boot_id:
                await asyncio.gather(*(early[kind] for kind in early.keys() & healthy), return_exceptions=True)
        finally:
            for task in early.values():
                task.cancel()
            outcomes = await asyncio.gather(*early.values(), return_exceptions=True)
        surveyed = {kind for kind, outcome in zip(early, outcomes, strict=True) if outcome is None}
        for kind in sorted(kinds):
            if kind not in healthy:
                await self._lose(node, claim, kind)
            elif kind in asked - surveyed:
                await self._survey(node, connection, claim, kind)
        return node

    def _is_left(self, kind: str, followed: Collection[str], connection: Connection) -> bool:
        """Return whether a technology's workspaces are left to its events."""
        return kind in followed and is_followed(self._engines.bound(connection, kind), connection)

    async def _write(self, before: Node, findings: Findings, claim: NodeClaim) -> Node:
        name = before.name
        if before.status == "offline":
            self._links.answered(name)
            await self._links.settled()
        events: list[Event] = []
        async with self._store.transaction(claim) as state:
            # as it is now: another reading meanwhile has announced what was new by then
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
                data = await describe_reboot(before, findings, state.workspaces)
                events.append(await state.events.append("node.rebooted", name, "server", data))
            for kind, status in findings.providers.items():
                known = before.providers.get(kind)
                if known and known.state != status.state:
                    data = {"provider": kind, "before": known.state, "reason": status.reason}
                    events.append(await state.events.append(f"engine.{status.state}", name, "server", data))
        for event in events:
            await self._events.announce(event)
        return node

    async def _survey(self, node: Node, connection: Connection, claim: NodeClaim, kind: str) -> None:
        """Write what became of the node's workspaces of one technology. Raises what `Provider.list` raises."""
        provider = await self._engines.bind(connection, kind)
        await self._observation.under(claim).survey(node.name, kind, provider)

    async def _lose(self, node: Node, claim: NodeClaim, kind: str) -> None:
        """Mark the node's workspaces of one technology unknown: their engine can't be asked."""
        status = node.providers.get(kind)
        why = status.reason if status and status.reason else "this server doesn't know it"
        reason = f"{kind} on node {node.name} can't be asked: {why}"
        await self._observation.under(claim).lose(node.name, reason, kinds=[kind])


async def describe_reboot(before: Node, findings: Findings, workspaces: Workspaces) -> dict[str, Any]:
    """Build the data of `node.rebooted`, with the names of the workspaces that should be running there."""
    there = await workspaces.all(node=before.name)
    wanted = [workspace.name for workspace in there if workspace.wanted == "running"]
    return {
        "before": before.boot_id,
        "after": findings.boot_id,
        "booted_at": findings.booted_at.isoformat() if findings.booted_at else None,
        "wanted": wanted[:MOST_NAMES],
        "wanted_count": len(wanted),
    }
