"""The whole server but its HTTP, in a forked process that kills itself at the n-th boundary of what it does.

It first brings to their ends the operations that the process before left, and tells what is there then; then it does
what it is told, one operation at a time.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from vendetta import settings
from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination import requests
from vendetta.coordination.ask import Ask
from vendetta.coordination.operations.journal import Journal
from vendetta.coordination.operations.steps import Steps
from vendetta.models import FINISHED, Operation
from vendetta.paths import Paths
from vendetta.ssh.endpoint import Login

ACTOR = "test"
ASK = Ask(ACTOR)


class Boundaries:
    """The process ends at the fatal one. Between two of them nothing is written down.

    An operation has been begun; each of its steps begins, is to be looked at, has been done, writes what came of it
    with what it did, and has been written; its handler has returned; what came of that has been written.
    """

    def __init__(self) -> None:
        self._left: int | None = None
        for method in ("begin", "finish"):
            self._surround(Journal, method)
        # before it, nothing is written since the step was done
        self._surround(Journal, "keep_step", before=False)
        self._surround(Steps, "record", before=False)
        for method in ("run", "run_then", "run_once"):
            self._surround(Steps, method, after=False)
            self._watch_step(method)

    def arm(self, fatal: int | None) -> None:
        self._left = fatal

    def _surround(self, owner: type, method: str, *, before: bool = True, after: bool = True) -> None:
        """A boundary before each call of it, and one after."""
        call = getattr(owner, method)

        async def surrounded(*given: Any, **named: Any) -> Any:
            if before:
                self._reach()
            result = await call(*given, **named)
            if after:
                self._reach()
            return result

        setattr(owner, method, surrounded)

    def _watch_step(self, method: str) -> None:
        """A boundary once what a step does is done, and one once it was looked at."""
        call = getattr(Steps, method)

        def watched(steps: Steps, name: str, *acts: Callable[[], Awaitable[Any]], **named: Any) -> Awaitable[Any]:
            return cast(Awaitable[Any], call(steps, name, *(self._then_reach(act) for act in acts), **named))

        setattr(Steps, method, watched)

    def _then_reach(self, act: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        async def acted() -> Any:
            result = await act()
            self._reach()
            return result

        return acted

    def _reach(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run(home: str, provider: str | None, pipe: int) -> None:
    """The process. What it is told through the file `pipe` is `(kind, target, given, fatal)`.

    `provider` is whose belongings it tells of.
    """
    os.environ.update(HOME=home, VENDETTA_HOME=f"{home}/v")
    asyncio.run(serve(provider, Connection(pipe)))


async def serve(provider: str | None, pipe: Connection) -> None:
    paths = Paths.from_environment()
    async with running_services(paths, settings.load(paths)) as services:
        boundaries = Boundaries()
        for left in (await services.operations.list()).items:
            if left.state not in FINISHED:
                await services.operations.wait(left.id, None)
        while True:
            pipe.send(await describe(services, provider))
            kind, target, given, fatal = await asyncio.to_thread(pipe.recv)
            if kind == "add":
                request = requests.NodeRequest(name=target, **given)
                await services.node_adding.add(request, Login(accept_new=True), actor=ACTOR)
                continue
            boundaries.arm(fatal)
            operation = await SUBMIT[kind](services, target, given)
            pipe.send(operation.id)
            await services.operations.wait(operation.id, None)
            boundaries.arm(None)


Submit = Callable[[Services, str, Mapping[str, Any]], Awaitable[Operation]]
"""An operation on a target: a workspace, or a node."""


def _execute(services: Services, node: str, given: Mapping[str, Any]) -> Awaitable[Operation]:
    config = {"argv": ["sh", "-c", "echo x >> /ran"]}
    command = requests.CommandRequest(action="exec", provider="docker", config=config, **given)
    return services.dispatcher.submit(ASK, node, command)


def _image(node: str, given: Mapping[str, Any]) -> requests.ImageRequest:
    return requests.ImageRequest(node=node, provider="docker", name=given["name"])


def _push(services: Services, node: str, given: Mapping[str, Any]) -> Awaitable[Operation]:
    async def content() -> AsyncIterator[bytes]:
        yield Path(given["file"]).read_bytes()

    return services.images.push(ASK, _image(node, given), content())


AT_ONCE = requests.StopRequest(timeout_seconds=0)
BEFORE = requests.SnapshotChoice(snapshot="before")


def _change(kind: str, build: Callable[[Mapping[str, Any]], requests.Request] = lambda _: requests.NO_CONFIG) -> Submit:
    return lambda on, target, given: on.changes.submit(ASK, kind, target, build(given))


SUBMIT: Mapping[str, Submit] = {
    "workspace.create": lambda on, name, given: on.workspaces.create(
        ASK, requests.WorkspaceRequest.model_validate({"name": name, **given})
    ),
    "workspace.start": _change("workspace.start"),
    "workspace.stop": _change("workspace.stop", lambda _: AT_ONCE),
    "workspace.restart": _change("workspace.restart", lambda _: AT_ONCE),
    "workspace.pause": _change("workspace.pause"),
    "workspace.resume": _change("workspace.resume"),
    "workspace.snapshot": _change("workspace.snapshot", lambda _: requests.SnapshotRequest(name="before")),
    "workspace.restore": _change("workspace.restore", lambda _: BEFORE),
    "workspace.remove-snapshot": _change("workspace.remove-snapshot", lambda _: BEFORE),
    "workspace.resize": _change("workspace.resize", lambda given: requests.ResizeRequest(**given)),
    "workspace.move": _change("workspace.move", lambda _: requests.MoveRequest(timeout_seconds=0)),
    "workspace.remove": _change("workspace.remove", lambda _: requests.RemoveRequest(force=True)),
    "node.execute": _execute,
    "node.drain": _change("node.drain", lambda _: requests.DrainRequest(timeout_seconds=0)),
    "node.undrain": _change("node.undrain"),
    "node.cleanup": _change("node.cleanup", lambda _: requests.NodeCleanupRequest(provider="docker", workspaces=True)),
    "image.push": _push,
    "image.pull": lambda on, node, given: on.images.pull(ASK, _image(node, given)),
    "image.remove": lambda on, node, given: on.images.remove(ASK, _image(node, given)),
    "key.rotate": lambda on, target, given: on.rotation.submit(ASK, requests.RotateRequest()),
}


async def describe(services: Services, provider: str | None) -> dict[str, Any]:
    """The operations, the newest first; the workspaces as recorded; and what of theirs is on which node."""
    operations = (await services.operations.list(limit=20)).items
    held: list[str] = []
    for node in (await services.nodes.list()).items if provider else []:
        found = await services.cleanup.list(node.name, provider)
        held += [f"{node.name} {one.kind} {one.workspace}" for one in found]
    return {
        "server": (await services.status()).id,
        "kinds": sorted(services.operations.handlers),
        "operations": {one.id: (one.kind, one.state, one.error and one.error.code) for one in operations},
        "workspaces": {one.name: (one.node, one.state) for one in (await services.workspaces.list()).items},
        "belongings": sorted(held),
    }
