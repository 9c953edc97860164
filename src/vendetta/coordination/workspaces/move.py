"""Move a workspace to another node. Every step can run twice, as in `lifecycle.py`.

The record names the old node until the new instance is complete, and runs if the old one did. Only then is the old one
removed. A move that fails or is cancelled before that goes back: the new instance is removed, and only once that is
certain the old one is started again, so that never both of them run.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.events import Events
from vendetta.coordination.monitoring.arrivals import tell_arrival
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.requests import MoveRequest
from vendetta.errors import (
    NodeNotFound,
    OutOfResources,
    ProviderError,
    Unsupported,
    VendettaError,
    WorkspaceNotFound,
)
from vendetta.models import MoveResult, Node, Operation, Progress, Workspace
from vendetta.providers.base import Provider
from vendetta.providers.powers import Moving, require
from vendetta.store import Store

from .first_connect import after_first_connect
from .lifecycle import Lifecycle
from .node_slots import NodeSlots
from .placement import ENDED, check_open, choose

KIND = "workspace.move"

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A move as it was planned: `running` is whether the workspace ran when the move began."""

    source: str
    destination: str
    running: bool


class Moves:
    def __init__(
        self,
        store: Store,
        events: Events,
        engines: Engines,
        operations: Operations,
        lifecycle: Lifecycle,
        node_slots: NodeSlots,
    ) -> None:
        self._store = store
        self._events = events
        self._engines = engines
        self._operations = operations
        self._lifecycle = lifecycle
        self._node_slots = node_slots

    def handlers(self) -> Mapping[str, Handler]:
        return {KIND: self._move}

    async def submit(self, ask: Ask, name: str, request: MoveRequest) -> Operation:
        """Submit the move. Its result is a `MoveResult`.

        Raises `WorkspaceNotFound`, `NodeNotFound`, `WrongState` (the node is cordoned).
        """
        if not await self._operations.known(ask.key):
            await self._store.workspaces.get(name)
            if request.node is not None:
                check_open(await self._store.nodes.get(request.node))
        return await self._operations.submit(ask, KIND, name, request.build_input())

    async def check(self, workspace: Workspace) -> None:
        """Raise `Unsupported`, `InstanceNotFound` or whatever else keeps it from being moved, without a change."""
        await self._engines.call(
            workspace.node,
            workspace.provider,
            lambda provider: require(provider, Moving).check_movable(workspace.name),
        )

    async def _move(self, steps: Steps, given: dict[str, Any]) -> Result:
        name = steps.operation.target
        plan = msgspec.convert(await steps.run("plan", lambda: self._plan(name, given)), Plan)
        if plan.source == plan.destination:
            return _result(await steps.run("observe", lambda: self._lifecycle.observe(steps)), None)
        begun = False
        try:
            if plan.running:
                await steps.run("stop", lambda: self._stop(steps, plan, given["timeout_seconds"]))
            await steps.run("copy", lambda: self._copy(steps, plan))
            if plan.running:
                begun = True
                await steps.run("start there", lambda: self._start(steps, plan))
            await steps.run("switch", lambda: self._switch(steps, plan))
        except VendettaError as exc:
            cause = exc
        else:
            left = await self._leave(steps, plan)
            return _result(await steps.run("observe", lambda: self._lifecycle.observe(steps), cleanup=True), left)
        undone = await steps.run("go back", lambda: self._go_back(steps, plan, begun), cleanup=True)
        await steps.run("observe after failure", lambda: self._lifecycle.observe(steps), cleanup=True)
        if undone is not None:
            cause.message = f"{cause.message}; and {undone}"
        raise cause

    # the steps

    async def _plan(self, name: str, given: dict[str, Any]) -> Plan:
        workspace = await self._store.workspaces.get(name)
        if given["node"] == workspace.node:
            return Plan(source=workspace.node, destination=workspace.node, running=False)
        destination = await self.place(workspace, given["node"], given["placement"], await self._promised())
        await self.check(workspace)
        instance = await self._engines.call(workspace.node, workspace.provider, lambda provider: provider.inspect(name))
        if instance.state == "paused":
            raise Unsupported(
                f"{name} can't be moved: it is paused, and what is in its memory would be lost",
                hint=f"First: vendetta workspace resume {name}, or stop it.",
            )
        return Plan(source=workspace.node, destination=destination, running=instance.state == "running")

    async def place(
        self, workspace: Workspace, node: str | None, labels: dict[str, str], promised: dict[str, Any]
    ) -> str:
        """Return the node that it goes to. Raises `NodeNotFound`, `WrongState`, `InvalidInput`, `OutOfResources`."""
        return await after_first_connect(self._store, lambda: self._choose(workspace, node, labels, promised))

    async def _choose(
        self, workspace: Workspace, node: str | None, labels: dict[str, str], promised: dict[str, Any]
    ) -> str:
        here = await self._store.nodes.get(workspace.node)
        if node is not None:
            candidates = [await self._store.nodes.get(node)]
            check_open(candidates[0])
        else:
            candidates = [one for one in await self._store.nodes.all() if one.name != here.name]
        if here.resources:
            arch = here.resources.arch
            candidates = [one for one in candidates if one.resources is None or one.resources.arch == arch]
        candidates = [one for one in candidates if self._takes_moved(one, workspace.provider)]
        if not candidates:
            raise OutOfResources(
                f"there is no other node for {workspace.name}",
                hint="It takes another node of the same architecture, whose engine can take it in: "
                "vendetta node add NAME USER@HOST",
            )
        return choose(candidates, promised, provider=workspace.provider, spec=workspace.spec, labels=labels).name

    def _takes_moved(self, node: Node, kind: str) -> bool:
        """Return whether the node's engine has the power to move, as far as its last reading shows."""
        status = node.providers.get(kind)
        return "move" in self._engines.registry.capabilities(kind, status.version if status else None)

    async def _promised(self) -> dict[str, Any]:
        return dict(await self._store.workspaces.promised(without=ENDED))

    async def _stop(self, steps: Steps, plan: Plan, timeout_seconds: float) -> None:
        name = steps.operation.target

        async def stop(provider: Provider) -> None:
            await provider.stop(name, timeout_seconds=timeout_seconds)

        await self._lifecycle.enter(steps, name, "moving", "stopping on {node}", stop, node=plan.source)

    async def _copy(self, steps: Steps, plan: Plan) -> None:
        name, mark = steps.operation.target, steps.operation.id
        workspace = await self._store.workspaces.get(name)

        async def copy(there: Provider) -> None:
            async with self._engines.provider(plan.source, workspace.provider) as here:
                source = require(here, Moving).export_instance(name, mark)
                async with aclosing(_counted(steps, plan, source)) as content:
                    await require(there, Moving).import_instance(name, workspace.spec, mark, content)

        await self._lifecycle.enter(steps, name, "moving", "copying to {node}", copy, node=plan.destination)

    async def _start(self, steps: Steps, plan: Plan) -> None:
        name = steps.operation.target
        workspace = await self._store.workspaces.get(name)
        async with self._node_slots.on(plan.destination, steps.progress):
            steps.progress(Progress(message=f"starting on {plan.destination}"))
            await self._engines.call(plan.destination, workspace.provider, lambda provider: provider.start(name))
            instance = await self._engines.call(
                plan.destination, workspace.provider, lambda provider: provider.inspect(name)
            )
        if instance.state != "running":
            raise ProviderError(
                f"{name} doesn't stay up on node {plan.destination}: {instance.reason or instance.state}",
                hint="What does it need that is only on the node where it was?",
            )

    async def _switch(self, steps: Steps, plan: Plan) -> None:
        name = steps.operation.target
        async with self._store.transaction(steps.held) as state:
            # it may be cordoned since it was chosen, but not before this is written: whoever drains it then waits for
            # that, and sees the workspace
            node = await state.nodes.hold(plan.destination)
            check_open(node)
            # the boot is that node's: it isn't to be taken for one whose machine was restarted
            moved = await state.workspaces.update(name, node=node.name, address=None, boot_id=node.boot_id)
            await tell_arrival(state, moved)
            await steps.record(state, None)
            data = {"operation": steps.operation.id, "source": plan.source, "destination": plan.destination}
            event = await state.events.append("workspace.moved", name, steps.operation.actor, data)
        await self._events.announce(event)

    async def _leave(self, steps: Steps, plan: Plan) -> str | None:
        """Remove the old instance, waiting for its node if need be. Return why it is still there; None: it isn't."""
        try:
            await steps.run("take the old one away", lambda: self._take_away(steps, plan))
        except VendettaError:
            return await steps.run("try once more", lambda: self._try_away(steps, plan), cleanup=True)
        return None

    async def _take_away(self, steps: Steps, plan: Plan) -> None:
        name = steps.operation.target
        workspace = await self._store.workspaces.get(name)
        steps.progress(Progress(message=f"removing what is left on {plan.source}"))
        await self._engines.call(plan.source, workspace.provider, lambda provider: provider.remove(name, force=True))

    async def _try_away(self, steps: Steps, plan: Plan) -> str | None:
        name = steps.operation.target
        try:
            await self._take_away(steps, plan)
        except VendettaError as exc:
            reason = f"the old one is still on node {plan.source}, stopped: {exc.message}"
            await self._events.emit(
                "workspace.left_behind", name, steps.operation.actor, node=plan.source, reason=exc.message
            )
            return reason
        return None

    async def _go_back(self, steps: Steps, plan: Plan, begun: bool) -> str | None:
        """Undo the move. Return what could not be undone, if anything. `begun`: the new instance may run."""
        name, mark = steps.operation.target, steps.operation.id
        try:
            workspace = await self._store.workspaces.get(name)
        except WorkspaceNotFound:
            return None
        if workspace.node == plan.destination:
            return None  # it was too late to go back
        steps.progress(Progress(message=f"going back to {plan.source}"))

        async def forget(node: str) -> None:
            async def forget_on(provider: Provider) -> None:
                if isinstance(provider, Moving):  # without the power no move has begun there
                    await provider.forget_move(name, mark)

            await self._engines.call(node, workspace.provider, forget_on)

        left: list[str] = []
        try:
            await forget(plan.destination)
        except NodeNotFound:
            pass
        except VendettaError as exc:
            left.append(f"what was made on node {plan.destination} may still be there: {exc.message}")
            if begun:
                left.append(f"so that it isn't started again on node {plan.source} either")
                return ", ".join(left)
        try:
            if plan.running:
                await self._engines.call(plan.source, workspace.provider, lambda provider: provider.start(name))
            await forget(plan.source)
        except VendettaError as exc:
            left.append(f"on node {plan.source} it is not as it was: {exc.message}")
        return ", ".join(left) or None


async def _counted(steps: Steps, plan: Plan, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Pass the pieces on, and report as progress how much was copied: the total isn't known before."""
    copied = 0
    async with aclosing(content) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            copied += len(piece)
            steps.progress(Progress(message=f"copying to {plan.destination}: {copied / 2**20:.1f} MiB", current=copied))
            yield piece


def _result(workspace: Result, left: str | None) -> Result:
    result: Result = msgspec.to_builtins(MoveResult(workspace=msgspec.convert(workspace, Workspace), left_behind=left))
    return result
