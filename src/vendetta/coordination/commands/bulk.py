"""The same change on many workspaces or nodes, each outcome told as it comes.

What is an operation for one is an operation for each of many: all of them are submitted at once, so that they go on
whatever becomes of who asked. `turns` bounds what they do on one node at a time.
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
"""Submitted, or done without an operation, at the same moment."""

Direct = Callable[[str, Any, str], Awaitable[Node | None]]
"""Change a node, by name, with its configuration and the actor, within the call."""


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What is done to each: an operation of the kind `change`, or `direct`, where it takes none."""

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
        """One result for each, as they end. Raises `UnknownAction`, `InvalidInput` before anything is begun.

        The request's `deadline_seconds` counts. A name that nobody has is a result too. Closed early, only the waiting
        ends.
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
        """The same. What is no operation for one node (`connect`) is done within the call."""
        action, config = _check(self._of_nodes, request)
        names = list(dict.fromkeys(request.names))
        if not names:
            names = [one.name for one in await self._store.nodes.all(labels=request.labels)]
        async for result in self._run(replace(ask, deadline_seconds=request.deadline_seconds), names, action, config):
            yield result

    async def _run(
        self, ask: Ask, names: Sequence[str], action: BulkAction, config: Request
    ) -> AsyncIterator[BulkResult]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def submit(name: str) -> Operation | Node | None:
            async with turn:
                if action.change is not None:
                    return await self._submitter.submit(ask.for_one(name), action.change, name, config)
                return await action.direct(name, config, ask.actor) if action.direct else None

        # these go on when the caller goes away, and with them what they submit
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
            task.exception()  # heard of, though nobody may wait for it any more

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
    """Of an operation that has ended."""
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
