"""Turn what engines say of workspaces into their state, write it, and announce it once when it changes.

An operation writes what becomes of the workspace that it holds. All others write what they saw only if the record is
still as it was when they began to look: so what was seen earlier never replaces what was seen later.
"""

import copy
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

from vendetta.coordination.events import Events
from vendetta.errors import InstanceNotFound, WorkspaceNotFound
from vendetta.models import Instance, InstanceState, Wanted, Workspace, WorkspaceState
from vendetta.providers.base import Provider
from vendetta.store import Lease, Store, Transaction

from .last_output import read_last_lines

IN_TRANSITION: frozenset[WorkspaceState] = frozenset(
    {"pending", "creating", "starting", "stopping", "moving", "removing"}
)
"""States of a workspace that an operation holds, which alone writes the next one."""

STATES: Mapping[InstanceState, WorkspaceState] = {
    "created": "stopped",
    "running": "running",
    "paused": "stopped",
    "stopped": "stopped",
    "failed": "failed",
}

OnRestart = Callable[[Workspace, str], Awaitable[None]]
Record = Callable[[Transaction, Workspace | None], Awaitable[None]]
"""Writes what became of a workspace in another table too, in the same transaction."""
_TRIES = 5
"""How often `look` begins again because the record changed meanwhile."""


class Observation:
    """Write what was seen of workspaces, and announce what changed."""

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._overlooked: set[str] = set()
        self._on_restart: OnRestart = _nothing
        self._lease: Lease | None = None
        self._record: Record | None = None

    def under(self, lease: Lease | None, record: Record | None = None) -> Self:
        """Return the same, except that writing raises `LeaseLost` once the lease counts no more. `lease` None: always.

        `record` is called with what a workspace is found to be, None once it is forgotten, in the same transaction.
        """
        fenced = copy.copy(self)
        fenced._lease, fenced._record = lease, record  # noqa: SLF001 - of its own kind
        return fenced

    def on_restart(self, listener: OnRestart) -> None:
        """Call `listener` for each workspace that stands still since its node was restarted, with the new boot id."""
        self._on_restart = listener

    # what operations call

    async def transition(self, workspace: Workspace, state: WorkspaceState, wanted: Wanted | None = None) -> Workspace:
        """Write the state that an operation is about to bring about. No event: the operation's own says it."""
        # an operation on it decides anew whether it is to run after its node was drained
        changes: dict[str, Any] = {"state": state, "reason": None, "drained": False}
        changes |= {"wanted": wanted} if wanted else {}
        if wanted == "running":
            changes["boot_id"] = await self._store.nodes.boot_id(workspace.node)
        async with self._store.transaction(self._lease) as stored:
            return await stored.workspaces.update(workspace.name, **changes)

    async def settle(self, workspace: Workspace, provider: Provider) -> Workspace:
        """Write what is true at the end of an operation, and return it.

        Raises `WorkspaceNotFound`, and what `inspect` raises. Only the operation may write what was reported of the
        workspace meanwhile: it is looked at once more then.
        """
        name = workspace.name
        while True:
            self._overlooked.discard(name)
            seen = await self._see(workspace, await _inspect(provider, name), provider)
            if seen and name not in self._overlooked:
                return seen
            workspace = await self._store.workspaces.get(name)

    async def unobserved(self, name: str, reason: str) -> Workspace:
        """Mark a workspace that could not be asked about unknown, with `reason`. Raises `WorkspaceNotFound`."""
        workspace = await self._store.workspaces.get(name)
        return await self._write(workspace, {"state": "unknown", "reason": reason}, guarded=False) or workspace

    async def forget(self, name: str) -> None:
        """Remove the record of a workspace that is gone. No record is no error."""
        self._overlooked.discard(name)
        with suppress(WorkspaceNotFound):
            async with self._store.transaction(self._lease) as stored:
                await stored.workspaces.remove(name)
                if self._record:
                    await self._record(stored, None)

    # what the monitor calls

    async def survey(self, node: str, kind: str, provider: Provider) -> None:
        """Read all that the engine has, and write what that says of the node's workspaces. Raises what `list` raises.

        A list says less than a look: workspaces of which it says something new are looked at.
        """
        known = await self._store.workspaces.all(node=node, provider=kind)
        boot_id = await self._store.nodes.boot_id(node)
        seen = {instance.name: instance for instance in await provider.list()}
        as_known = []
        for workspace in known:
            instance = seen.get(workspace.name)
            if is_as_known(workspace, instance, boot_id):
                as_known.append(workspace.name)
                await self._revive(workspace, boot_id)
            elif not (tells_enough(instance) and await self._see(workspace, instance, provider)):
                await self.look(workspace.name, node, provider)
        async with self._store.transaction(self._lease) as stored:
            await stored.workspaces.seen(as_known, datetime.now(UTC))

    async def look(self, name: str, node: str, provider: Provider) -> bool:
        """Look at one workspace and write what is seen; nothing if it isn't one of this node.

        Returns False if an operation holds it, which will look itself. Raises what `inspect` raises.
        """
        for _ in range(_TRIES):
            # before it is read: an operation that lets go of it in between sees that there was something
            self._overlooked.add(name)
            try:
                workspace = await self._store.workspaces.get(name)
            except WorkspaceNotFound:
                self._overlooked.discard(name)
                return True
            if workspace.state in IN_TRANSITION:
                return False
            self._overlooked.discard(name)
            if (workspace.node, workspace.provider) != (node, provider.kind):
                return True
            if await self._see(workspace, await _inspect(provider, name), provider):
                return True
        return False

    def is_overlooked(self, name: str) -> bool:
        """Return whether the workspace was reported on while an operation held it, which hasn't looked at it yet."""
        return name in self._overlooked

    async def lose(self, node: str, reason: str, *, kinds: Collection[str] | None = None) -> None:
        """Mark the node's workspaces unknown, with `reason`. `kinds` are the technologies it concerns, None for all."""
        # a node that is gone is tried again and again: those that are unknown already aren't read for it
        for workspace in await self._store.workspaces.others(node, without={*IN_TRANSITION, "unknown"}):
            if kinds is None or workspace.provider in kinds:
                await self._write(workspace, {"state": "unknown", "reason": reason})

    async def _see(self, before: Workspace, instance: Instance | None, provider: Provider) -> Workspace | None:
        """Write what was seen, and return the workspace.

        Returns None if it was written since `before`: what was seen may be older than that.
        """
        boot_id = await self._store.nodes.boot_id(before.node)
        after = await self._write(before, await self._judge(before, instance, boot_id, provider))
        if after:
            await self._revive(after, boot_id)
        return after

    async def _judge(
        self, workspace: Workspace, instance: Instance | None, boot_id: str | None, provider: Provider
    ) -> dict[str, Any]:
        """Return the fields to write, by name."""
        now = datetime.now(UTC)
        if instance is None:
            return {"state": "missing", "reason": f"node {workspace.node} no longer has it", "observed_at": now}
        state, reason = build_state(workspace, instance, boot_id)
        findings: dict[str, Any] = {"state": state, "reason": reason, "address": instance.address, "observed_at": now}
        findings |= {"exit_status": None, "last_lines": []}
        if state == "running":
            findings["boot_id"] = boot_id
        if is_unasked(workspace, instance):
            same = (workspace.state, workspace.reason) == (state, reason)
            findings["exit_status"] = instance.exit_status
            findings["last_lines"] = workspace.last_lines if same else await read_last_lines(provider, workspace.name)
        return findings

    async def _revive(self, workspace: Workspace, boot_id: str | None) -> None:
        if workspace.state in ("stopped", "failed") and has_restarted(workspace, boot_id):
            await self._on_restart(workspace, str(boot_id))

    async def _write(self, before: Workspace, findings: dict[str, Any], *, guarded: bool = True) -> Workspace | None:
        event = None
        async with self._store.transaction(self._lease) as stored:
            after = await stored.workspaces.observe(before, findings, guarded=guarded)
            if after and self._record:
                await self._record(stored, after)
            if after and (before.state, before.reason) != (after.state, after.reason):
                data: dict[str, Any] = {"node": after.node, "before": before.state, "reason": after.reason}
                if after.state in ("stopped", "failed"):
                    ending = {"exit_status": after.exit_status, "last_lines": after.last_lines}
                    data |= {key: value for key, value in ending.items() if value not in (None, [])}
                event = await stored.events.append(f"workspace.{after.state}", after.name, "server", data)
        if event:
            await self._events.announce(event)
        return after


def is_unasked(workspace: Workspace, instance: Instance) -> bool:
    """Return whether the workspace has ended although nobody asked for that here."""
    return instance.state == "failed" or (instance.state == "stopped" and workspace.wanted == "running")


def has_restarted(workspace: Workspace, boot_id: str | None) -> bool:
    """Return whether the workspace should run, but its node was started again since."""
    return workspace.wanted == "running" and is_of_another_boot(workspace, boot_id)


def is_of_another_boot(workspace: Workspace, boot_id: str | None) -> bool:
    """Return whether it was last seen running, or started, in another boot of its node than `boot_id`."""
    return None not in (workspace.boot_id, boot_id) and workspace.boot_id != boot_id


def build_state(workspace: Workspace, instance: Instance, boot_id: str | None) -> tuple[WorkspaceState, str | None]:
    """Return its state, and in a few words why it differs from what was wanted; None if it doesn't."""
    state = STATES[instance.state]
    if not is_unasked(workspace, instance):
        return state, instance.reason or ("paused" if instance.state == "paused" else None)
    if has_restarted(workspace, boot_id):
        return "stopped", f"node {workspace.node} was restarted"
    status = "" if instance.exit_status is None else f" with status {instance.exit_status}"
    return state, instance.reason or f"ended{status}, which nobody asked for here"


def is_as_known(workspace: Workspace, instance: Instance | None, boot_id: str | None) -> bool:
    """Return whether a list says nothing new of the workspace; True while an operation holds it."""
    if workspace.state in IN_TRANSITION:
        return True
    if instance is None:
        return workspace.state == "missing"
    state, reason = build_state(workspace, instance, boot_id)
    if state == "running" and is_of_another_boot(workspace, boot_id):
        return False  # by hand, or before anybody knew of the new boot: what becomes of it now isn't for the restart
    # a list doesn't have the details of what isn't well in one that runs
    both = state == "running" and None not in (reason, workspace.reason)
    return state == workspace.state and (both or reason == workspace.reason)


def tells_enough(instance: Instance | None) -> bool:
    """Return whether a look would say no more than the list does."""
    return instance is None or (instance.state in ("created", "running") and instance.reason is None)


async def _nothing(workspace: Workspace, boot_id: str) -> None:
    """Do nothing: no listener was given."""


async def _inspect(provider: Provider, name: str) -> Instance | None:
    try:
        return await provider.inspect(name)
    except InstanceNotFound:
        return None
