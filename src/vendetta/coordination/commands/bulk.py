"""Make the same change to many workspaces or nodes, and report each outcome as it comes.

What is an operation for one is an operation for each of many: all of them are submitted at once, so that they go on
when the caller goes away. `NodeSlots` limits how many of them change one node at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.changes import CHANGES, of_many
from vendetta.coordination.nodes.changing import NodeChanges
from vendetta.coordination.nodes.links import NodeLinks
from vendetta.coordination.operations import Operations
from vendetta.coordination.requests import (
    BulkRequest,
    NoConfig,
    RemoveRequest,
    Request,
    WorkspaceBulkRequest,
    validated,
)
from vendetta.errors import InvalidInput, UnknownAction, VendettaError, nearest
from vendetta.models import BulkResult, Node, Operation, Problem
from vendetta.ssh.endpoint import Login
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait

from .submitter import Submitter

AT_ONCE = 32
"""How many are submitted, or done without an operation, at a time."""

Direct = Callable[[str, Any, str], Awaitable[Node | None]]
"""Change a node, by name, with its configuration and the actor, within the call."""


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What is done to each: an operation of the kind `change`, or the function `direct` where it is no operation."""

    config: type[Request]
    change: str | None = None
    direct: Direct | None = None


class Bulk:
    def __init__(
        self, store: Store, operations: Operations, submitter: Submitter, links: NodeLinks, changes: NodeChanges
    ) -> None:
        self._store = store
        self._operations = operations
        self._submitter = submitter
        self._submitting: set[asyncio.Task[Any]] = set()
        self._of_workspaces = _build_actions("workspace")
        self._of_nodes: Mapping[str, BulkAction] = {
            "connect": _directly(lambda name, _, actor: links.connect(name, Login())),
            "disconnect": _directly(lambda name, _, actor: links.disconnect(name, actor)),
            "cordon": _directly(lambda name, _, actor: changes.cordon(name, actor)),
            "uncordon": _directly(lambda name, _, actor: changes.uncordon(name, actor)),
            **_build_actions("node"),
            "probe": _directly(lambda name, _, actor: links.probe(name)),
            "remove": _directly(
                lambda name, config, actor: changes.remove(name, force=config.force, actor=actor), RemoveRequest
            ),
        }

    async def change_workspaces(self, ask: Ask, request: WorkspaceBulkRequest) -> AsyncIterator[BulkResult]:
        """Change each of the workspaces, and yield a result for each as it ends; an unknown name gives one too.

        Each operation has the request's `deadline_seconds`. They go on where the iterator is closed early. Raises
        `UnknownAction`, `InvalidInput` before anything is begun.
        """
        action, config = _check(self._of_workspaces, request)
        names = list(dict.fromkeys(request.names))
        if not names:
            names = [one.name for one in await self._store.workspaces.all(node=request.node, labels=request.labels)]
        elif request.node:
            raise InvalidInput("node: narrows labels and all, not names")
        async for result in self._run(replace(ask, deadline_seconds=request.deadline_seconds), names, action, config):
            yield result

    async def change_nodes(self, ask: Ask, request: BulkRequest) -> AsyncIterator[BulkResult]:
        """Change each of the nodes, as `change_workspaces`. What is no operation is done within the call."""
        action, config = _check(self._of_nodes, request)
        names = list(dict.fromkeys(request.names))
        if not names:
            names = [one.name for one in await self._store.nodes.all(labels=request.labels)]
        async for result in self._run(replace(ask, deadline_seconds=request.deadline_seconds), names, action, config):
            yield result

    async def _run(
        self, ask: Ask, names: Sequence[str], action: BulkAction, config: Request
    ) -> AsyncIterator[BulkResult]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def submit(name: str) -> Operation | Node | None:
            async with slots:
                if action.change is not None:
                    return await self._submitter.submit(ask.for_one(name), action.change, name, config)
                return await action.direct(name, config, ask.actor) if action.direct else None

        # not cancelled when the caller goes away: all of them are submitted
        begun = {name: asyncio.create_task(submit(name)) for name in names}
        for task in begun.values():
            self._submitting.add(task)
            task.add_done_callback(self._submitted)
        tasks = [asyncio.create_task(self._await(name, task)) for name, task in begun.items()]
        try:
            for outcome in asyncio.as_completed(tasks):
                yield await outcome
        finally:
            await cancel_and_wait(*tasks)

    def _submitted(self, task: "asyncio.Task[Any]") -> None:
        self._submitting.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio doesn't log it where nobody waits any more

    async def _await(self, name: str, begun: "asyncio.Task[Operation | Node | None]") -> BulkResult:
        submitted: str | None = None
        try:
            done = await asyncio.shield(begun)
            if isinstance(done, Operation):
                submitted = done.id
                return build_result(name, await self._operations.wait(submitted, None))
        except VendettaError as exc:
            return BulkResult(name=name, operation=submitted, problem=Problem.from_error(exc))
        return BulkResult(name=name, result=msgspec.to_builtins(done))


def build_result(name: str, operation: Operation) -> BulkResult:
    """Build the result for `name` of an operation that has ended."""
    return BulkResult(name=name, operation=operation.id, result=operation.result, problem=operation.error)


def _build_actions(noun: str) -> Mapping[str, BulkAction]:
    """Return the changes of the noun that `/bulk` offers, by verb."""
    return {verb: BulkAction(CHANGES[kind].request, change=kind) for verb, kind in of_many(noun).items()}


def _directly(do: Direct, config: type[Request] = NoConfig) -> BulkAction:
    return BulkAction(config, direct=do)


def _check(actions: Mapping[str, BulkAction], request: BulkRequest) -> tuple[BulkAction, Request]:
    if sum(map(bool, (request.names, request.labels, request.all))) != 1:
        raise InvalidInput("the request says not which are meant", hint="Give one of names, labels and all.")
    action = actions.get(request.action)
    if action is None:
        raise UnknownAction(
            f'nobody knows the action "{request.action}" for several.{nearest(request.action, actions)}',
            hint=f"There is: {', '.join(actions)}.",
        )
    return action, validated(action.config, request.config, where="config")
