"""A node read in full: what it is, which engines answer, and what became of its workspaces; written, and told."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from vendetta.models import Event, Node
from vendetta.ssh.connection import Connection
from vendetta.store import Claim, Store
from vendetta.store.workspaces import Workspaces

from .engines import Engines
from .events import Events
from .following import is_followed
from .links import Links
from .observation import Observation
from .probe import Findings, probe

MOST_NAMES = 100
"""So many workspaces are named in one event."""


class Reading:
    def __init__(self, store: Store, events: Events, engines: Engines, links: Links, observation: Observation) -> None:
        self._store = store
        self._events = events
        self._engines = engines
        self._links = links
        self._observation = observation
        self._on_round_trip: Callable[[float], None] = lambda seconds: None

    def on_round_trip(self, listener: Callable[[float], None]) -> None:
        """From now on `listener` hears how long each round trip to a node took, in seconds."""
        self._on_round_trip = listener

    async def read(
        self,
        before: Node,
        connection: Connection,
        claim: Claim,
        kinds: Collection[str],
        *,
        followed: Collection[str] = (),
    ) -> Node:
        """`kinds` are the technologies of its workspaces; those that are `followed` are left to their events.

        Raises `LinkError`, `LeaseLost`.
        """
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
                data = await describe_reboot(before, findings, state.workspaces)
                told.append(await state.events.append("node.rebooted", name, "server", data))
            for kind, status in findings.providers.items():
                known = before.providers.get(kind)
                if known and known.state != status.state:
                    data = {"provider": kind, "before": known.state, "reason": status.reason}
                    told.append(await state.events.append(f"engine.{status.state}", name, "server", data))
        for event in told:
            await self._events.announce(event)
        await self._survey(node, connection, claim, kinds, followed)
        return node

    async def _survey(
        self, node: Node, connection: Connection, claim: Claim, kinds: Collection[str], followed: Collection[str]
    ) -> None:
        """What became of the node's workspaces: unknown where their engine can't be asked."""
        observation = self._observation.under(claim)
        for kind in sorted(kinds):
            status = node.providers.get(kind)
            if status and status.state == "healthy":
                provider = self._engines.bind(connection, kind)
                if kind not in followed or not is_followed(provider, connection):
                    await observation.survey(node.name, kind, provider)
            else:
                why = status.reason if status and status.reason else "this server doesn't know it"
                reason = f"{kind} on node {node.name} can't be asked: {why}"
                await observation.lose(node.name, reason, kinds=[kind])


async def describe_reboot(before: Node, findings: Findings, workspaces: Workspaces) -> dict[str, Any]:
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
