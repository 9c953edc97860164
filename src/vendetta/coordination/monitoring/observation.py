"""What was seen of workspaces: engine state to workspace state, written and told once when it changes.

An operation says what becomes of the workspace that it holds; all others may only write what they saw if nobody has
written anything since they began to look. So what is seen late never wins over what is true.
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
"""States that an operation holds: it alone says what comes next."""

STATES: Mapping[InstanceState, WorkspaceState] = {
    "created": "stopped",
    "running": "running",
    "paused": "stopped",
    "stopped": "stopped",
    "failed": "failed",
}

OnRestart = Callable[[Workspace, str], Awaitable[None]]
Record = Callable[[Transaction, Workspace | None], Awaitable[None]]
"""Writes what has become of a workspace elsewhere too, in the same transaction."""
_TRIES = 5
"""How often one is looked at again because it changed while it was looked at."""


class Observation:
    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events
        self._overlooked: set[str] = set()
        self._on_restart: OnRestart = _nothing
        self._lease: Lease | None = None
        self._record: Record | None = None

    def under(self, lease: Lease | None, record: Record | None = None) -> Self:
        """The same, but what it writes is refused with `LeaseLost` where the lease counts no more.

        `record` is given what a workspace is found to be, or None once it is forgotten, in the transaction of that.
        """
        fenced = copy.copy(self)
        fenced._lease, fenced._record = lease, record  # noqa: SLF001 - of its own kind
        return fenced

    def on_restart(self, listener: OnRestart) -> None:
        """From now on `listener` hears of what stands still since its node was restarted, and of the node's boot."""
        self._on_restart = listener

    # what operations call

    async def transition(self, workspace: Workspace, state: WorkspaceState, wanted: Wanted | None = None) -> Workspace:
        """An operation says what it is about to do. Nobody is told: the operation's own event does."""
        # whoever does something with it decides anew whether it is to run after its node was drained
        changes: dict[str, Any] = {"state": state, "reason": None, "drained": False}
        changes |= {"wanted": wanted} if wanted else {}
        if wanted == "running":
            changes["boot_id"] = await self._store.nodes.boot_id(workspace.node)
        async with self._store.transaction(self._lease) as stored:
            return await stored.workspaces.update(workspace.name, **changes)

    async def settle(self, workspace: Workspace, provider: Provider) -> Workspace:
        """What an operation ends with: writes what is true now. Raises `WorkspaceNotFound`, and as `inspect` does.

        What is told of it while an operation holds it nobody else may write: it is looked at once more then.
        """
        name = workspace.name
        while True:
            self._overlooked.discard(name)
            seen = await self._see(workspace, await _inspect(provider, name), provider)
            if seen and name not in self._overlooked:
                return seen
            workspace = await self._store.workspaces.get(name)

    async def unobserved(self, name: str, reason: str) -> Workspace:
        """It could not be asked about: unknown, and why. Raises `WorkspaceNotFound`."""
        workspace = await self._store.workspaces.get(name)
        return await self._write(workspace, {"state": "unknown", "reason": reason}, guarded=False) or workspace

    async def forget(self, name: str) -> None:
        """It is gone, and so is its record. No record: nothing happens."""
        self._overlooked.discard(name)
        with suppress(WorkspaceNotFound):
            async with self._store.transaction(self._lease) as stored:
                await stored.workspaces.remove(name)
                if self._record:
                    await self._record(stored, None)

    # what the monitor calls

    async def survey(self, node: str, kind: str, provider: Provider) -> None:
        """Reads all that the engine has, and writes what that says of the node's workspaces. Raises as `list` does.

        A list tells less than a look: those that it says something new of are looked at.
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
        """Writes what is seen of one workspace; nothing where it isn't one of this node. Raises as `inspect` does.

        False: an operation holds it, and will look itself.
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
        """Whether something was told of it while an operation held it, which the operation hasn't looked at yet."""
        return name in self._overlooked

    async def lose(self, node: str, reason: str, *, kinds: Collection[str] | None = None) -> None:
        """They can't be asked: workspaces of the node are unknown from now on, whatever they do. `kinds` None: all."""
        # a node that is gone is tried again and again: those that are unknown already aren't read for it
        for workspace in await self._store.workspaces.others(node, without={*IN_TRANSITION, "unknown"}):
            if kinds is None or workspace.provider in kinds:
                await self._write(workspace, {"state": "unknown", "reason": reason})

    async def _see(self, before: Workspace, instance: Instance | None, provider: Provider) -> Workspace | None:
        """None: somebody has written something of it since `before`, so what was seen may be older than that."""
        boot_id = await self._store.nodes.boot_id(before.node)
        after = await self._write(before, await self._judge(before, instance, boot_id, provider))
        if after:
            await self._revive(after, boot_id)
        return after

    async def _judge(
        self, workspace: Workspace, instance: Instance | None, boot_id: str | None, provider: Provider
    ) -> dict[str, Any]:
        """What is to be written of it."""
        now = datetime.now(UTC)
        if instance is None:
            return {"state": "missing", "reason": f"node {workspace.node} no longer has it", "observed_at": now}
        state, reason = build_state(workspace, instance, boot_id)
        findings: dict[str, Any] = {"state": state, "reason": reason, "address": instance.address, "observed_at": now}
        findings |= {"exit_status": None, "last_lines": []}
        if state == "running":
            findings["boot_id"] = boot_id
        if is_unasked(workspace, instance):
            told = (workspace.state, workspace.reason) == (state, reason)
            findings["exit_status"] = instance.exit_status
            findings["last_lines"] = workspace.last_lines if told else await read_last_lines(provider, workspace.name)
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
    """Whether it has ended although nobody told it to here."""
    return instance.state == "failed" or (instance.state == "stopped" and workspace.wanted == "running")


def has_restarted(workspace: Workspace, boot_id: str | None) -> bool:
    """Whether it should run, but its node was started again since it was started."""
    return workspace.wanted == "running" and is_of_another_boot(workspace, boot_id)


def is_of_another_boot(workspace: Workspace, boot_id: str | None) -> bool:
    """Whether it was last seen to run, or was started, in another boot of its node than that."""
    return None not in (workspace.boot_id, boot_id) and workspace.boot_id != boot_id


def build_state(workspace: Workspace, instance: Instance, boot_id: str | None) -> tuple[WorkspaceState, str | None]:
    """Its state, and in a few words why it is so, where it isn't what it was told to be."""
    state = STATES[instance.state]
    if not is_unasked(workspace, instance):
        return state, instance.reason or ("paused" if instance.state == "paused" else None)
    if has_restarted(workspace, boot_id):
        return "stopped", f"node {workspace.node} was restarted"
    status = "" if instance.exit_status is None else f" with status {instance.exit_status}"
    return state, instance.reason or f"ended{status}, which nobody asked for here"


def is_as_known(workspace: Workspace, instance: Instance | None, boot_id: str | None) -> bool:
    """Whether a list says nothing new of it. One that an operation holds is left to that."""
    if workspace.state in IN_TRANSITION:
        return True
    if instance is None:
        return workspace.state == "missing"
    state, reason = build_state(workspace, instance, boot_id)
    if state == "running" and is_of_another_boot(workspace, boot_id):
        return False  # by hand, or before anybody knew of the new boot: what becomes of it now isn't for the restart
    # of what isn't well in one that runs, a list doesn't tell the details
    both = state == "running" and None not in (reason, workspace.reason)
    return state == workspace.state and (both or reason == workspace.reason)


def tells_enough(instance: Instance | None) -> bool:
    """Whether there is nothing that a look would tell beyond what stands in a list."""
    return instance is None or (instance.state in ("created", "running") and instance.reason is None)


async def _nothing(workspace: Workspace, boot_id: str) -> None:
    """Where nobody listens."""


async def _inspect(provider: Provider, name: str) -> Instance | None:
    try:
        return await provider.inspect(name)
    except InstanceNotFound:
        return None
