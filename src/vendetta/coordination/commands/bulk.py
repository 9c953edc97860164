"""The same change on many workspaces or nodes, each outcome told as it comes.

What is an operation for one is an operation for each of many: all of them are submitted at once, so that they go on
whatever becomes of who asked. `turns` bounds what they do on one node at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from vendetta.coordination.nodes import Nodes
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.operations import Operations
from vendetta.coordination.requests import (
    BulkRequest,
    DrainRequest,
    MoveRequest,
    NoConfig,
    NodeCleanupRequest,
    RemoveRequest,
    Request,
    ResizeRequest,
    StopRequest,
    WorkspaceBulkRequest,
    validated,
)
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.move import Moves
from vendetta.errors import InvalidInput, UnknownAction, VendettaError, nearest
from vendetta.models import BulkResult, Node, Operation, Problem
from vendetta.ssh.endpoint import Login
from vendetta.store import Store

AT_ONCE = 32
"""Submitted, or done without an operation, at the same moment."""

Change = Callable[[str, Any, str, str | None, float | None], Awaitable[Operation | Node | None]]
"""Of one, by name, with its configuration, actor, idempotency key and the seconds that an operation may take."""


@dataclass(frozen=True, slots=True)
class Action:
    change: Change
    config: type[Request] = NoConfig


class Bulk:
    def __init__(
        self,
        store: Store,
        operations: Operations,
        workspaces: Workspaces,
        nodes: Nodes,
        cleanup: Cleanup,
        moves: Moves,
        draining: Draining,
    ) -> None:
        self._store = store
        self._operations = operations
        self._submitting: set[asyncio.Task[Any]] = set()
        self._of_workspaces: Mapping[str, Action] = {
            "start": Action(lambda name, _, actor, key, within: workspaces.start(name, actor, key, within)),
            "stop": Action(workspaces.stop, StopRequest),
            "restart": Action(workspaces.restart, StopRequest),
            "pause": Action(lambda name, _, actor, key, within: workspaces.pause(name, actor, key, within)),
            "resume": Action(lambda name, _, actor, key, within: workspaces.resume(name, actor, key, within)),
            "resize": Action(workspaces.resize, ResizeRequest),
            "move": Action(moves.submit, MoveRequest),
            "remove": Action(workspaces.remove, RemoveRequest),
        }
        self._of_nodes: Mapping[str, Action] = {
            "connect": Action(lambda name, _, actor, key, within: nodes.connect(name, Login(), actor)),
            "disconnect": Action(lambda name, _, actor, key, within: nodes.disconnect(name, actor)),
            "cordon": Action(lambda name, _, actor, key, within: nodes.cordon(name, actor)),
            "uncordon": Action(lambda name, _, actor, key, within: nodes.uncordon(name, actor)),
            "drain": Action(draining.submit, DrainRequest),
            "undrain": Action(lambda name, _, actor, key, within: draining.undrain(name, actor, key, within)),
            "probe": Action(lambda name, _, actor, key, within: nodes.probe(name)),
            "cleanup": Action(cleanup.submit, NodeCleanupRequest),
            "remove": Action(
                lambda name, config, actor, key, within: nodes.remove(name, force=config.force, actor=actor),
                RemoveRequest,
            ),
        }

    async def change_workspaces(
        self, request: WorkspaceBulkRequest, actor: str, key: str | None = None
    ) -> AsyncIterator[BulkResult]:
        """One result for each, as they end. Raises `UnknownAction`, `InvalidInput` before anything is begun.

        A name that nobody has is a result too. Closed early, only the waiting ends.
        """
        action, config = _check(self._of_workspaces, request)
        names = list(dict.fromkeys(request.names))
        if not names:
            names = [one.name for one in await self._store.workspaces.all(node=request.node, labels=request.labels)]
        elif request.node:
            raise InvalidInput("node: narrows labels and all, not names")
        async for result in self._run(names, action, config, actor, key, request.deadline_seconds):
            yield result

    async def change_nodes(self, request: BulkRequest, actor: str, key: str | None = None) -> AsyncIterator[BulkResult]:
        """The same. What is no operation for one node (`connect`) is done within the call."""
        action, config = _check(self._of_nodes, request)
        names = list(dict.fromkeys(request.names))
        if not names:
            names = [one.name for one in await self._store.nodes.all(labels=request.labels)]
        async for result in self._run(names, action, config, actor, key, request.deadline_seconds):
            yield result

    async def _run(
        self,
        names: Sequence[str],
        action: Action,
        config: Request,
        actor: str,
        key: str | None,
        within: float | None,
    ) -> AsyncIterator[BulkResult]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def submit(name: str) -> Operation | Node | None:
            async with turn:
                return await action.change(name, config, actor, f"{key}-{name}" if key else None, within)

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
            for waiting in tasks:
                waiting.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

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


def _check(actions: Mapping[str, Action], request: BulkRequest) -> tuple[Action, Request]:
    if sum(map(bool, (request.names, request.labels, request.all))) != 1:
        raise InvalidInput("the request says not which are meant", hint="Give one of names, labels and all.")
    action = actions.get(request.action)
    if action is None:
        raise UnknownAction(
            f'nobody knows the action "{request.action}" for several.{nearest(request.action, actions)}',
            hint=f"There is: {', '.join(actions)}.",
        )
    return action, validated(action.config, request.config, where="config")
