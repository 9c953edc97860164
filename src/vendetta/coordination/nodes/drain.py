"""Drain a node before it is worked on, and undo that. Every step can run twice, as in `workspaces/lifecycle.py`.

Each workspace is stopped, or moved, by an operation of its own; the drain submits them, waits, and returns the outcome
of each. Those that it stopped are marked, so that `undrain` starts them again and no others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.operations.children import wait_for_child
from vendetta.coordination.requests import (
    NO_CONFIG,
    DrainRequest,
    MoveRequest,
    NoConfig,
    Request,
    StopRequest,
    validated,
)
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.move import Moves
from vendetta.coordination.workspaces.placement import ENDED
from vendetta.errors import (
    Cancelled,
    Conflict,
    NotFound,
    ProviderError,
    VendettaError,
    WorkspaceNotFound,
    WrongState,
)
from vendetta.models import Drained, DrainResult, InstanceSpec, Operation, Problem, Progress, Workspace
from vendetta.store import Committed, Store

from .changing import NodeChanges

Given = dict[str, Any]

IDLE = frozenset({"stopped", "failed", "missing"})
"""States in which there is nothing to stop."""

CHECKS_AT_ONCE = 8
MOVES_AT_ONCE = 3
"""How many moves of one drain copy at a time: more of them share the same link."""


class Draining:
    def __init__(
        self, *, store: Store, operations: Operations, workspaces: Workspaces, node_changes: NodeChanges, moves: Moves
    ) -> None:
        self._store = store
        self._operations = operations
        self._workspaces = workspaces
        self._node_changes = node_changes
        self._moves = moves

    def handlers(self) -> Mapping[str, Handler]:
        return {"node.drain": self._drain, "node.undrain": self._undrain}

    async def submit(self, ask: Ask, node: str, request: DrainRequest) -> Operation:
        """Submit the drain. Its result is a `DrainResult`. Raises `NodeNotFound`.

        Where a workspace is left the operation fails, and `details["workspaces"]` of its error are what came of each.
        """
        return await self._submit(ask, "node.drain", node, request)

    async def undrain(self, ask: Ask, node: str, request: NoConfig = NO_CONFIG) -> Operation:
        """Submit the way back, with the same result and failure. Raises `NodeNotFound`."""
        return await self._submit(ask, "node.undrain", node, request)

    async def _submit(self, ask: Ask, kind: str, node: str, request: Request) -> Operation:
        await self._store.nodes.get(node)
        return await self._operations.submit(ask, kind, node, request.build_input())

    async def plan(self, node: str, request: DrainRequest) -> DrainResult:
        """Tell what a drain would do with each workspace, and where it would go. Raises `NodeNotFound`."""
        await self._store.nodes.get(node)
        workspaces = await self._store.workspaces.all(node=node)
        if not request.move:
            return DrainResult(node=node, workspaces=[_stops(one) for one in workspaces])
        turn = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(workspace: Workspace) -> Problem | None:
            async with turn:
                try:
                    await self._moves.check(workspace)
                except VendettaError as exc:
                    return Problem.from_error(exc)
            return None

        present = [one for one in workspaces if one.state != "missing"]
        problems = dict(zip((one.name for one in present), await asyncio.gather(*map(check, present)), strict=True))
        promised = dict(await self._store.workspaces.promised(without=ENDED))
        planned = []
        for workspace in workspaces:
            if workspace.state == "missing":
                planned.append(Drained(name=workspace.name, outcome="idle"))
            else:
                planned.append(await self._plan_move(workspace, problems[workspace.name], promised, request))
        return DrainResult(node=node, workspaces=planned)

    async def _plan_move(
        self, workspace: Workspace, problem: Problem | None, promised: dict[str, Committed], request: DrainRequest
    ) -> Drained:
        """Plan where it goes, after those that were planned before it, and add its needs to `promised`, by node."""
        if problem is None:
            try:
                destination = await self._moves.place(workspace, request.to, request.placement, promised)
            except VendettaError as exc:
                problem = Problem.from_error(exc)
            else:
                promised[destination] = _with(promised.get(destination, Committed()), workspace.spec)
                return Drained(name=workspace.name, outcome="moved", node=destination)
        if request.force:
            return replace(_stops(workspace), note=problem.detail)
        return Drained(name=workspace.name, outcome="left", problem=problem)

    async def _drain(self, steps: Steps, given: Given) -> Given:
        node, request = steps.operation.target, validated(DrainRequest, given)
        await steps.run("check", lambda: self._check(node, request))
        await steps.run("cordon", lambda: self._cordon(steps))
        planned = msgspec.convert(await steps.run("plan", lambda: self.plan(node, request)), DrainResult)
        try:
            outcomes = await steps.run("drain", lambda: self._drain_all(steps, planned.workspaces, request))
        except Cancelled:
            names = [one.name for one in planned.workspaces]
            await steps.run("cancel the rest", lambda: self._cancel(steps, names), cleanup=True)
            raise
        return _conclude(node, "drain", msgspec.convert(outcomes, list[Drained]))

    async def _undrain(self, steps: Steps, given: Given) -> Given:
        node = steps.operation.target
        await steps.run("uncordon", lambda: self._uncordon(steps))
        names = await steps.run("list", lambda: self._drained(node))
        try:
            outcomes = await steps.run("start", lambda: self._start_all(steps, names))
        except Cancelled:
            await steps.run("cancel the rest", lambda: self._cancel(steps, names), cleanup=True)
            raise
        return _conclude(node, "undrain", msgspec.convert(outcomes, list[Drained]))

    # the steps

    async def _check(self, node: str, request: DrainRequest) -> None:
        """Raise `WrongState` where a workspace would be left, before anything is done."""
        left = [one for one in (await self.plan(node, request)).workspaces if one.outcome == "left"]
        if left:
            raise WrongState(
                f"drain node {node}: {len(left)} workspaces can't be moved ({_reasons(left)}); nothing was done",
                hint="With --force those are stopped and the rest is moved; without --move all are stopped.",
                workspaces=msgspec.to_builtins(left),
            )

    async def _cordon(self, steps: Steps) -> None:
        await self._node_changes.cordon(steps.operation.target, steps.operation.actor)

    async def _uncordon(self, steps: Steps) -> None:
        await self._node_changes.uncordon(steps.operation.target, steps.operation.actor)

    async def _drained(self, node: str) -> list[str]:
        return [one.name for one in await self._store.workspaces.all(node=node) if one.drained]

    async def _drain_all(self, steps: Steps, planned: Sequence[Drained], request: DrainRequest) -> list[Drained]:
        moving = asyncio.Semaphore(MOVES_AT_ONCE)

        async def one(plan: Drained) -> Drained:
            if plan.outcome == "moved":
                async with moving:
                    return await self._move(steps, plan, request)
            return await self._stop(steps, plan, request) if plan.outcome == "stopped" else plan

        return await _side_by_side(steps, [partial(one, plan) for plan in planned])

    async def _start_all(self, steps: Steps, names: Sequence[str]) -> list[Drained]:
        async def one(name: str) -> Drained:
            ended = await self._follow(lambda: self._workspaces.change(_ask(steps, name), "workspace.start", name))
            return Drained(name=name, outcome="left", problem=ended) if ended else Drained(name=name, outcome="started")

        return await _side_by_side(steps, [partial(one, name) for name in names])

    async def _stop(self, steps: Steps, plan: Drained, request: DrainRequest) -> Drained:
        stop = StopRequest(timeout_seconds=request.timeout_seconds)
        ask = _ask(steps, plan.name)
        problem = await self._follow(lambda: self._workspaces.change(ask, "workspace.stop", plan.name, stop))
        if problem is None:
            with suppress(WorkspaceNotFound):
                await retry_while_store_is_down(lambda: self._store.workspaces.update(plan.name, drained=True))
            return plan
        return replace(plan, outcome="left", problem=problem)

    async def _move(self, steps: Steps, plan: Drained, request: DrainRequest) -> Drained:
        move = MoveRequest(node=plan.node, timeout_seconds=request.timeout_seconds)
        ask, result = _ask(steps, plan.name), dict[str, Any]()
        problem = await self._follow(lambda: self._moves.submit(ask, plan.name, move), result)
        if problem is None:
            return replace(plan, note=result.get("left_behind"))
        return replace(plan, outcome="left", node=None, problem=problem)

    async def _follow(self, submit: Callable[[], Awaitable[Operation]], result: Given | None = None) -> Problem | None:
        """Wait for the operation on one workspace. Return its problem; None if it succeeded or the workspace is gone.

        The operation's result is added to `result`.
        """
        try:
            ended = await wait_for_child(self._operations, submit)
        except WorkspaceNotFound:
            return None
        except VendettaError as exc:
            return Problem.from_error(exc)
        if result is not None:
            result.update(ended.result or {})
        return ended.error

    async def _cancel(self, steps: Steps, names: Iterable[str]) -> None:
        for name in names:
            known = await self._store.operations.by_key(f"{steps.operation.id}-{name}")
            if known is not None:
                try:
                    await self._operations.cancel(known.id)
                except (Conflict, NotFound):
                    continue  # it has ended


def _ask(steps: Steps, name: str) -> Ask:
    """Return the ask for one workspace: the same after a crash, so that what was submitted is found again."""
    return Ask(steps.operation.actor, steps.operation.id).for_one(name)


async def _side_by_side(steps: Steps, work: Sequence[Callable[[], Awaitable[Drained]]]) -> list[Drained]:
    """Do all of it at once, and report how many are done: `NodeSlots` limits how much one node does at a time."""
    done = 0

    async def one(do: Callable[[], Awaitable[Drained]]) -> Drained:
        nonlocal done
        outcome = await do()
        done += 1
        where = f" to {outcome.node}" if outcome.outcome == "moved" else ""
        message = f"{outcome.name} {outcome.outcome}{where} ({done} of {len(work)})"
        steps.progress(Progress(message=message, current=done, total=len(work)))
        return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(do)) for do in work]
    return [task.result() for task in tasks]


def _conclude(node: str, verb: str, outcomes: list[Drained]) -> Given:
    """Build the result. Raises `ProviderError` where a workspace is left, with the result in its details."""
    left = [one for one in outcomes if one.outcome == "left"]
    result: Given = msgspec.to_builtins(DrainResult(node=node, workspaces=outcomes))
    if left:
        raise ProviderError(
            f"{verb} node {node}: {len(left)} of {len(outcomes)} workspaces are left as they are ({_reasons(left)})",
            hint="The rest is done. Do it again once that is mended"
            + (f", or take the node back into use: vendetta node undrain {node}" if verb == "drain" else "."),
            workspaces=result["workspaces"],
        )
    return result


def _reasons(left: Sequence[Drained]) -> str:
    shown = "; ".join(f"{one.name}: {one.problem.detail if one.problem else ''}" for one in left[:3])
    return shown + (f"; and {len(left) - 3} more" if len(left) > 3 else "")


def _stops(workspace: Workspace) -> Drained:
    return Drained(name=workspace.name, outcome="idle" if workspace.state in IDLE else "stopped")


def _with(promised: Committed, spec: InstanceSpec) -> Committed:
    return Committed(
        workspaces=promised.workspaces + 1,
        cpus=promised.cpus + (spec.cpus or 0.0),
        memory_bytes=promised.memory_bytes + (spec.memory_bytes or 0),
    )
