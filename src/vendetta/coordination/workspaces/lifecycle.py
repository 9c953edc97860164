"""The steps of each operation on a workspace. Every step can run twice: after a crash the interrupted one does.

`create` is all or nothing: where it fails or is cancelled, it leaves neither an instance nor a record. After every
other operation the node is asked for the workspace's state, also where the operation failed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from vendetta.coordination.engines import Engines
from vendetta.coordination.monitoring import Observation
from vendetta.coordination.monitoring.arrivals import tell_arrival
from vendetta.coordination.operations import Handler, Steps
from vendetta.coordination.operations.failures import build_left
from vendetta.coordination.retry_rules import RETRIES
from vendetta.errors import (
    Cancelled,
    DeadlineExceeded,
    LinkError,
    NameTaken,
    NodeNotFound,
    VendettaError,
    WorkspaceNotFound,
    WrongState,
)
from vendetta.models import InstanceSpec, Operation, Progress, Wanted, Workspace, WorkspaceState
from vendetta.providers.base import Provider
from vendetta.providers.powers import Pausing, Resizing, require
from vendetta.store import Store

from .first_connect import after_first_connect
from .node_slots import NodeSlots
from .placement import ENDED, check_open, choose

Input = dict[str, Any]
Result = dict[str, Any]


class Lifecycle:
    """The handlers of operations on a workspace, and the steps that moves and snapshots share with them."""

    def __init__(self, store: Store, engines: Engines, observation: Observation, node_slots: NodeSlots) -> None:
        self._store = store
        self._engines = engines
        self._observation = observation
        self._node_slots = node_slots

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "workspace.create": self._create,
            "workspace.start": self._start,
            "workspace.stop": self._stop,
            "workspace.restart": self._restart,
            "workspace.pause": self._pause,
            "workspace.resume": self._resume,
            "workspace.resize": self._resize,
            "workspace.remove": self._remove,
        }

    async def _create(self, steps: Steps, given: Input) -> Result:
        name = steps.operation.target
        # what an earlier process sent isn't known
        reached = asyncio.Event()
        if steps.operation.attempts > 1:
            reached.set()
        await steps.run("claim", lambda: after_first_connect(self._store, lambda: self._claim(steps, given)))
        try:
            if given["start"]:
                await steps.run("create", lambda: self._make(steps, name, reached.set))
                return await self._and_look(steps, "start", lambda: self._begin(steps, name))
            return await self._and_look(steps, "create", lambda: self._make(steps, name, reached.set))
        except VendettaError as exc:
            cause = exc
        # an instance that stood there before us under this name isn't ours to undo
        undo_instance = reached.is_set() and not isinstance(cause, NameTaken)
        left = await steps.run("undo", lambda: self._undo(steps, undo_instance, cause), cleanup=True)
        raise build_left(cause, left)

    async def _start(self, steps: Steps, given: Input) -> Result:
        return await self._settle(steps, "start", lambda name: self._begin(steps, name))

    async def _stop(self, steps: Steps, given: Input) -> Result:
        return await self._settle(steps, "stop", lambda name: self._end(steps, name, given["timeout_seconds"]))

    async def _restart(self, steps: Steps, given: Input) -> Result:
        async def restart(name: str) -> None:
            await self._end(steps, name, given["timeout_seconds"])
            await self._begin(steps, name)

        return await self._settle(steps, "restart", restart)

    async def _pause(self, steps: Steps, given: Input) -> Result:
        return await self.settle(steps, "pause", lambda provider, name: require(provider, Pausing).pause(name))

    async def _resume(self, steps: Steps, given: Input) -> Result:
        return await self.settle(steps, "resume", lambda provider, name: require(provider, Pausing).resume(name))

    async def _resize(self, steps: Steps, given: Input) -> Result:
        size_bytes = given["disk"]

        async def remember() -> None:
            async with self._store.transaction(steps.held) as state:
                workspace = await state.workspaces.get(steps.operation.target)
                await state.workspaces.update(workspace.name, spec=replace(workspace.spec, disk_bytes=size_bytes))
                await steps.record(state, None)

        await self.settle(
            steps, "resize", lambda provider, name: require(provider, Resizing).resize_disk(name, size_bytes)
        )
        await steps.run("remember", remember)
        return await steps.run("show", lambda: self.observe(steps))

    async def _remove(self, steps: Steps, given: Input) -> Result:
        name = steps.operation.target
        try:
            await steps.run("remove", lambda: self._take_away(steps, name, given["force"]))
        except VendettaError as exc:
            seen = await steps.run("observe", lambda: self.observe(steps), cleanup=True)
            raise build_left(exc, describe(seen)) from exc
        recording = self._observation.under(steps.held, steps.record)
        await steps.run("forget", lambda: recording.forget(name), cleanup=True)
        return {"name": name}

    async def enter(
        self,
        steps: Steps,
        name: str,
        state: WorkspaceState,
        message: str,
        act: Callable[[Provider], Awaitable[object]],
        *,
        node: str | None = None,
        wanted: Wanted | None = None,
        on_sent: Callable[[], None] = lambda: None,
    ) -> None:
        """Set the workspace's state and call the provider, once the node has a slot for it: what a step does.

        `node` is the node to call; None: the workspace's. `message` may name `{node}` and `{image}`. `wanted` is the
        state that is wanted from now on; None: as before. `on_sent` is called before the provider is. Raises what `act`
        raises, `WorkspaceNotFound`, any `LinkError`.
        """
        workspace = await self._store.workspaces.get(name)
        node = node or workspace.node
        async with self._node_slots.on(node, steps.progress):
            steps.progress(Progress(message=message.format(node=node, image=workspace.image)))
            await self._observation.under(steps.held).transition(workspace, state, wanted)
            await self._engines.call(node, workspace.provider, act, on_sent=on_sent)

    async def settle(
        self, steps: Steps, verb: str, act: Callable[[Provider, str], Awaitable[None]], doing: str | None = None
    ) -> Result:
        """Run a change as one call of the provider, then observe the workspace. Until then its state stays."""

        async def call(name: str) -> None:
            workspace = await self._store.workspaces.get(name)
            async with self._node_slots.on(workspace.node, steps.progress):
                steps.progress(Progress(message=doing or f"{verb} on {workspace.node}"))
                await self._engines.call(workspace.node, workspace.provider, lambda provider: act(provider, name))

        return await self._settle(steps, verb, call)

    async def _settle(self, steps: Steps, verb: str, act: Callable[[str], Awaitable[None]]) -> Result:
        name = steps.operation.target
        try:
            return await self._and_look(steps, verb, lambda: act(name))
        except VendettaError as exc:
            seen = await steps.run("observe after failure", lambda: self.observe(steps), cleanup=True)
            raise build_left(exc, describe(seen)) from exc

    async def _and_look(self, steps: Steps, verb: str, act: Callable[[], Awaitable[None]]) -> Result:
        """Run the change, and return the workspace as it is then: `unknown` where the node can't be asked any more."""
        if seen := await steps.run_then(verb, act, lambda: self.observe(steps, patient=True)):
            return seen
        try:
            return await steps.run("observe", lambda: self.observe(steps, patient=True))
        except (LinkError, DeadlineExceeded, Cancelled):
            return await steps.run("observe in vain", lambda: self.observe(steps), cleanup=True)

    # the steps

    async def _claim(self, steps: Steps, given: Input) -> None:
        """Record the workspace on its node. After a crash it may be recorded already, by this operation."""
        async with self._store.exclusive("placement"):
            claimed = await self._claimed(steps.operation)
            workspace = claimed or await self._build(steps.operation, given)
            try:
                async with self._store.transaction(steps.held) as state:
                    # it may be cordoned since it was chosen, but not before this is written: whoever drains it then
                    # waits for that, and sees the workspace
                    check_open(await state.nodes.hold(workspace.node))
                    if not claimed:
                        await state.workspaces.add(workspace)
                        await tell_arrival(state, workspace)
                    await steps.record(state, None)
            except (NodeNotFound, WrongState):
                if claimed:
                    await self._observation.under(steps.held).forget(claimed.name)
                raise

    async def _claimed(self, operation: Operation) -> Workspace | None:
        try:
            workspace = await self._store.workspaces.get(operation.target)
        except WorkspaceNotFound:
            return None
        return workspace if workspace.id == operation.id else None

    async def _build(self, operation: Operation, given: Input) -> Workspace:
        spec = msgspec.convert(given["spec"], InstanceSpec)
        node = given["node"] or await self._place(given["provider"], spec, given["placement"])
        now = datetime.now(UTC)
        return Workspace(
            id=operation.id,
            name=operation.target,
            node=node,
            provider=given["provider"],
            image=spec.image,
            state="pending",
            since=now,
            spec=spec,
            wanted="running" if given["start"] else "stopped",
            labels=spec.labels,
            owner=operation.actor,
            created_at=now,
        )

    async def _place(self, provider: str, spec: InstanceSpec, labels: dict[str, str]) -> str:
        nodes, promised = await self._store.nodes.all(), await self._store.workspaces.promised(without=ENDED)
        return choose(nodes, promised, provider=provider, spec=spec, labels=labels).name

    async def _make(self, steps: Steps, name: str, on_sent: Callable[[], None]) -> None:
        spec = (await self._store.workspaces.get(name)).spec
        await self.enter(
            steps,
            name,
            "creating",
            "creating on {node} from {image}",
            lambda provider: provider.create(name, spec, steps.progress),
            on_sent=on_sent,
        )

    async def _begin(self, steps: Steps, name: str) -> None:
        await self.enter(
            steps, name, "starting", "starting on {node}", lambda provider: provider.start(name), wanted="running"
        )

    async def _end(self, steps: Steps, name: str, timeout_seconds: float) -> None:
        async def stop(provider: Provider) -> None:
            await provider.stop(name, timeout_seconds=timeout_seconds)

        await self.enter(steps, name, "stopping", "stopping on {node}", stop, wanted="stopped")

    async def _take_away(self, steps: Steps, name: str, force: bool) -> None:
        async def remove(provider: Provider) -> None:
            await provider.remove(name, force=force)

        await self.enter(steps, name, "removing", "removing from {node}", remove)

    async def observe(self, steps: Steps, *, patient: bool = False) -> Result:
        """Ask the node for the workspace's state, write it, and return the workspace as JSON values: what a step does.

        Where the node can't be asked, the state is `unknown`; with `patient` a `LinkError` is raised. Raises
        `WorkspaceNotFound`.
        """
        name, observation = steps.operation.target, self._observation.under(steps.held, steps.record)
        workspace = await self._store.workspaces.get(name)
        try:
            seen = await self._engines.call(
                workspace.node,
                workspace.provider,
                lambda provider: observation.settle(workspace, provider),
            )
        except WorkspaceNotFound:
            raise
        except VendettaError as exc:
            if patient and isinstance(exc, LinkError):
                raise
            seen = await observation.unobserved(name, exc.message)
        result: Result = msgspec.to_builtins(seen)
        return result

    async def _undo(self, steps: Steps, instance_too: bool, cause: VendettaError) -> str | None:
        """Remove the instance and the record. Where the node can't be asked, the record stays; returns what is left.

        It doesn't wait for the node where the operation was cancelled or its deadline is over.
        """
        name, observation = steps.operation.target, self._observation.under(steps.held)
        try:
            workspace = await self._store.workspaces.get(name)
        except WorkspaceNotFound:
            return None  # undone already, before a crash
        if instance_too:
            retries = 0 if isinstance(cause, Cancelled | DeadlineExceeded) else RETRIES
            try:
                await self._engines.call(
                    workspace.node,
                    workspace.provider,
                    lambda provider: provider.remove(name, force=True),
                    retries=retries,
                )
            except VendettaError as exc:
                left = f"what was made could not be removed: {exc.message}"
                await observation.unobserved(name, f"{cause.message}; and {left}")
                return left
        await observation.forget(name)
        return None


def describe(seen: Result) -> str:
    """Say in which state the workspace was found after an operation on it failed."""
    return f"{seen['name']} is {seen['state']} now"
