"""What was seen of workspaces: engine state to workspace state, written and told once when it changes."""

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Self

from vendetta.errors import WorkspaceNotFound
from vendetta.models import Instance, InstanceState, Workspace, WorkspaceState
from vendetta.store import Claim, Store

from .events import Events

IN_TRANSITION: frozenset[WorkspaceState] = frozenset(
    {"pending", "creating", "starting", "stopping", "moving", "removing"}
)
"""States that an operation holds: it alone says what comes next."""

STATES: Mapping[InstanceState, WorkspaceState] = {
    "created": "stopped",
    "running": "running",
    "paused": "stopped",
    "stopped": "stopped",
    "failed": "failed",
}


class Observation:
    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._claim: Claim | None = None

    def under(self, claim: Claim | None) -> Self:
        """The same, but what it writes is refused with `LeaseLost` where the claim counts no more."""
        fenced = copy.copy(self)
        fenced._claim = claim  # noqa: SLF001 - of its own kind
        return fenced

    async def record(self, name: str, instance: Instance | None, *, actor: str = "server") -> Workspace:
        """Writes what was seen of one workspace (None: the node has none such). Raises `WorkspaceNotFound`."""
        workspace = await self._store.workspaces.get(name)
        if instance is None:
            reason = f"node {workspace.node} no longer has it"
            return await self._write(workspace, "missing", reason, workspace.address, actor)
        why = "paused" if instance.state == "paused" else instance.reason
        return await self._write(workspace, STATES[instance.state], why, instance.address, actor)

    async def record_all(self, node: str, provider: str, instances: Sequence[Instance]) -> None:
        """Writes what a whole list says of the workspaces on a node, but for those that an operation holds."""
        seen = {instance.name: instance for instance in instances}
        for workspace in await self._store.workspaces.all(node=node, provider=provider):
            if workspace.state not in IN_TRANSITION:
                await self.record(workspace.name, seen.get(workspace.name))

    async def record_one(self, node: str, name: str, instance: Instance | None) -> None:
        """The same for one that the engine spoke of; nothing where it isn't a workspace of this node."""
        try:
            workspace = await self._store.workspaces.get(name)
        except WorkspaceNotFound:
            return
        if workspace.node == node and workspace.state not in IN_TRANSITION:
            await self.record(name, instance)

    async def unobserved(self, name: str, reason: str) -> Workspace:
        """It could not be asked about: unknown, and why. Raises `WorkspaceNotFound`."""
        workspace = await self._store.workspaces.get(name)
        return await self._write(workspace, "unknown", reason, workspace.address, "server", observed=False)

    async def lose(self, node: str, reason: str) -> None:
        """The node can't be asked: its workspaces are unknown from now on, whatever they do."""
        for workspace in await self._store.workspaces.all(node=node):
            if workspace.state not in IN_TRANSITION and workspace.state != "unknown":
                await self._write(workspace, "unknown", reason, workspace.address, "server", observed=False)

    async def transition(self, name: str, state: WorkspaceState) -> None:
        """An operation says what it is about to do. Nobody is told: the operation's own event does."""
        # whoever does something with it decides anew whether it is to run after its node was drained
        await self._store.workspaces.update(name, state=state, reason=None, drained=False)

    async def _write(
        self,
        workspace: Workspace,
        state: WorkspaceState,
        reason: str | None,
        address: str | None,
        actor: str,
        *,
        observed: bool = True,
    ) -> Workspace:
        changes: dict[str, object] = {"state": state, "reason": reason, "address": address}
        if observed:
            changes["observed_at"] = datetime.now(UTC)
        event = None
        async with self._store.transaction(self._claim) as stored:
            updated = await stored.workspaces.update(workspace.name, **changes)
            if (workspace.state, workspace.reason) != (state, reason):
                data = {"node": workspace.node, "before": workspace.state, "reason": reason}
                event = await stored.events.append(f"workspace.{state}", workspace.name, actor, data)
        if event:
            await self._events.announce(event)
        return updated
