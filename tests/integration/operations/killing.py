"""The whole server but its HTTP, in a forked process that kills itself at the n-th boundary of an operation's steps.

It first brings to their ends the operations that the process before left, and tells what is there then; then it does
what it is told, one operation at a time.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from vendetta import settings
from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import (
    CommandRequest,
    NodeRequest,
    RemoveRequest,
    StopRequest,
    WorkspaceRequest,
)
from vendetta.models import Operation
from vendetta.paths import Paths
from vendetta.ssh.endpoint import Login

Step = Callable[..., Awaitable[dict[str, Any]]]
ACTOR = "test"


class Boundaries:
    """Each step has three: it begins, it is done, and that is recorded. The process ends at the fatal one."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._left: int | None = None

    def arm(self, fatal: int | None) -> None:
        self._left = fatal

    async def __call__(self, name: str, body: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        async def watched() -> dict[str, Any]:
            outcome = await body()
            self._reach()
            return outcome

        self._reach()
        outcome = await self._step(name, watched)
        self._reach()
        return outcome

    def _reach(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run(home: str, pipe: Connection) -> None:
    """The process. What it is told through `pipe` is `(verb, workspace, fatal)`; None ends it."""
    os.environ.update(HOME=home, VENDETTA_HOME=f"{home}/v")
    asyncio.run(serve(Path(home), pipe))


async def serve(home: Path, pipe: Connection) -> None:
    paths = Paths.from_environment()
    async with running_services(paths, settings.load(paths)) as services:
        boundaries = Boundaries(services.operations._lives.durable.step)
        services.operations._lives.durable.step = boundaries  # type: ignore[method-assign]
        for state in ("running", "pending"):
            for left in (await services.operations.list(state=state)).items:
                await services.operations.wait(left.id, None)
        while True:
            told = await describe(services)
            pipe.send(told)
            asked = await asyncio.to_thread(pipe.recv)
            if asked is None:
                return
            verb, name, fatal = asked
            if verb == "add":
                await services.nodes.add(NodeRequest(**name), Login(accept_new=True), actor=ACTOR)
                continue
            boundaries.arm(fatal)
            operation = await submit(services, verb, name)
            pipe.send(operation.id)
            await services.operations.wait(operation.id, None)
            boundaries.arm(None)


async def submit(services: Services, verb: str, name: str) -> Operation:
    workspaces = services.workspaces
    match verb:
        case "create":
            request = WorkspaceRequest(name=name, provider="docker", image="busybox", node="gpu")
            return await workspaces.create(request, ACTOR)
        case "start":
            return await workspaces.start(name, ACTOR)
        case "stop":
            return await workspaces.stop(name, StopRequest(timeout_seconds=0), ACTOR)
        case "restart":
            return await workspaces.restart(name, StopRequest(timeout_seconds=0), ACTOR)
        case "pause":
            return await workspaces.pause(name, ACTOR)
        case "resume":
            return await workspaces.resume(name, ACTOR)
        case "snapshot":
            return await workspaces.snapshot(name, "before", ACTOR)
        case "remove-snapshot":
            return await workspaces.remove_snapshot(name, "before", ACTOR)
        case "remove":
            return await workspaces.remove(name, RemoveRequest(force=True), ACTOR)
        case "exec":
            config = {"argv": ["sh", "-c", "echo x >> /ran"]}
            command = CommandRequest(action="exec", provider="docker", workspace=name, config=config)
            return await services.dispatcher.submit("gpu", command, ACTOR)
    raise AssertionError(verb)


async def describe(services: Services) -> dict[str, Any]:
    """The newest operation, the workspaces as recorded, and what is ours on the node."""
    newest = (await services.operations.list(limit=1)).items
    recorded = (await services.workspaces.list()).items
    belongings = await services.cleanup.list("gpu", "docker") if recorded or newest else []
    return {
        "newest": (newest[0].id, newest[0].state, newest[0].error and newest[0].error.code) if newest else None,
        "workspaces": {one.name: one.state for one in recorded},
        "belongings": sorted(f"{one.kind} {one.workspace}" for one in belongings),
    }
