"""Dispatch commands to a provider on a node; an `ExecutionResult` is what comes of each.

A command that changes a workspace becomes an operation on it, as every change. One that only asks, or runs a program
inside, is a call of the provider.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.requests import (
    CleanupRequest,
    CommandRequest,
    NodeCleanupRequest,
    Request,
    SpecRequest,
    WorkspaceRequest,
    validated,
)
from vendetta.coordination.workspaces import Workspaces
from vendetta.errors import (
    Busy,
    Cancelled,
    DeadlineExceeded,
    EngineUnavailable,
    InvalidInput,
    LinkError,
    UnknownAction,
    Unsupported,
    VendettaError,
    nearest,
)
from vendetta.models import ExecutionResult, Operation, Problem
from vendetta.store import Store

from .actions import ACTIONS, ASKING
from .submitter import Submitter


class Dispatcher:
    def __init__(
        self, store: Store, engines: Engines, operations: Operations, workspaces: Workspaces, submitter: Submitter
    ) -> None:
        self._store = store
        self._engines = engines
        self._operations = operations
        self._workspaces = workspaces
        self._submitter = submitter

    def handlers(self) -> Mapping[str, Handler]:
        return {"node.execute": self._run}

    async def execute(self, ask: Ask, node: str, command: CommandRequest) -> ExecutionResult:
        """Run the command to its end, at most its `timeout_seconds`, and return what came of it.

        Errors of the node or the provider are a result with `success` false. Raises `NodeNotFound`, `UnknownProvider`,
        `UnknownAction`, `Unsupported`, `InvalidInput` where the command itself is wrong.
        """
        config = await self._check(node, command)
        started = time.monotonic()
        try:
            async with asyncio.timeout(command.timeout_seconds):
                result = await self._perform(ask, node, command, config)
        except TimeoutError:
            message = f"{command.action} on node {node}: not done after {command.timeout_seconds:g} s"
            result = build_failure(DeadlineExceeded(message))
        except VendettaError as exc:
            result = build_failure(exc)
        return replace(result, duration_seconds=time.monotonic() - started)

    async def submit(self, ask: Ask, node: str, command: CommandRequest) -> Operation:
        """Submit the command as an operation, whose deadline is its `timeout_seconds`. Raises as `execute`.

        The operation's result is an `ExecutionResult`; for a change of a workspace or node that of the change.
        """
        config = await self._check(node, command)
        ask = replace(ask, deadline_seconds=command.timeout_seconds)
        if kind := ACTIONS[command.action].change:
            return await self._change(ask, kind, node, command, config)
        given = {"node": node, "command": command.model_dump(mode="json")}
        return await self._operations.submit(ask, "node.execute", node, given)

    async def _run(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        """Perform the operation. It waits for a node whose link is lost; what the provider refuses is a result."""
        node, command = given["node"], validated(CommandRequest, given["command"])
        config = await self._check(node, command)

        async def execute() -> ExecutionResult:
            started = time.monotonic()
            try:
                result = await self._ask(node, command, config, retries=0)
            except (LinkError, EngineUnavailable, Busy, Cancelled):
                raise
            except VendettaError as exc:
                result = build_failure(exc)
            return replace(result, duration_seconds=time.monotonic() - started)

        # as JSON gives it back
        result: Any
        if command.action == "exec":
            look = f"See whether it runs: vendetta workspace exec {command.workspace} -- ps"
            result = await steps.run_once("execute", execute, look=look)
        else:
            result = await steps.run("execute", execute, retries=command.retries)
        done: dict[str, Any] = result
        return done

    async def _check(self, node: str, command: CommandRequest) -> Request:
        if command.services:
            raise Unsupported(
                "services are not supported: a workspace runs its own command alone",
                hint='Leave "services" out, and give each of them a workspace.',
            )
        await self._store.nodes.get(node)
        self._engines.registry.check(command.provider)
        action = ACTIONS.get(command.action)
        if action is None:
            raise UnknownAction(
                f'unknown action "{command.action}".{nearest(command.action, ACTIONS)}',
                hint=f"Actions: {', '.join(ACTIONS)}.",
                actions=list(ACTIONS),
            )
        powers = self._engines.registry.capabilities(command.provider)
        if action.power is not None and action.power not in powers:
            has = [name for name, other in ACTIONS.items() if other.power is None or other.power in powers]
            raise Unsupported(
                f"provider {command.provider} has no {command.action}", hint=f"It has: {', '.join(has)}.", actions=has
            )
        if command.workspace is None and not action.of_node:
            raise InvalidInput(f"workspace: is required for {command.action}", hint="Name it with --workspace.")
        config = validated(action.config, command.config, where="config")
        if isinstance(config, SpecRequest):
            self._engines.registry.validate(command.provider, config.spec())
        return config

    async def _perform(self, ask: Ask, node: str, command: CommandRequest, config: Request) -> ExecutionResult:
        if kind := ACTIONS[command.action].change:
            ask = replace(ask, deadline_seconds=command.timeout_seconds)
            operation = await self._change(ask, kind, node, command, config)
            operation = await self._operations.wait(operation.id, None)
            return build_result(operation)
        return await self._ask(node, command, config, retries=command.retries)

    async def _ask(self, node: str, command: CommandRequest, config: Request, *, retries: int) -> ExecutionResult:
        ask = ASKING[command.action]
        return await self._engines.call(
            node,
            command.provider,
            lambda provider: ask(provider, command.workspace or "", config),
            idempotent=command.action != "exec",
            retries=retries,
        )

    async def _change(self, ask: Ask, kind: str, node: str, command: CommandRequest, config: Request) -> Operation:
        name = command.workspace or ""
        if isinstance(config, SpecRequest):
            values = {
                **config.model_dump(),
                "name": name,
                "provider": command.provider,
                "node": node,
                "start": command.action == "up",
            }
            return await self._workspaces.create(ask, WorkspaceRequest.model_validate(values))
        if isinstance(config, CleanupRequest):
            config = NodeCleanupRequest(**config.model_dump(), provider=command.provider)
            return await self._submitter.submit(ask, kind, node, config)
        await self._belongs(name, node, command.provider)
        return await self._submitter.submit(ask, kind, name, config)

    async def _belongs(self, name: str, node: str, provider: str) -> None:
        workspace = await self._workspaces.get(name)
        if (workspace.node, workspace.provider) != (node, provider):
            raise InvalidInput(
                f"workspace {name} is on node {workspace.node} with {workspace.provider}, not on {node} with {provider}"
            )


def build_failure(error: VendettaError) -> ExecutionResult:
    """Build the result that stands for the error; its metadata has it as a `problem`."""
    problem = msgspec.to_builtins(Problem.from_error(error))
    return ExecutionResult(success=False, error=error.message, metadata={"problem": problem})


def build_result(operation: Operation) -> ExecutionResult:
    """Build the result of an operation that has ended: its error, or what it changed or removed."""
    if operation.error is not None:
        return build_failure(operation.error.to_error())
    if operation.state == "cancelled":
        return build_failure(Cancelled(f"{operation.kind} {operation.target} was cancelled"))
    if operation.kind == "node.cleanup":
        removed = (operation.result or {}).get("removed", [])
        output = "\n".join(f"{one['kind']} {one['name']} removed" for one in removed)
        return ExecutionResult(success=True, output=output, metadata={"removed": removed})
    workspace = operation.result or {}
    output = f"{workspace.get('name', operation.target)} {workspace.get('state', 'removed')}"
    return ExecutionResult(success=True, output=output, metadata=workspace)
