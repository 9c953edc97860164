"""The workspaces' use cases: what changes them is an operation, what uses them is a stream on the node's connection."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.operations import Operations
from vendetta.coordination.requests import NO_CONFIG, ExecRequest, Request, WorkspaceRequest, build_terminal
from vendetta.errors import InstanceNotFound, NameTaken, PathNotFound, WorkspaceNotFound, WrongState
from vendetta.models import Operation, PathStat, Snapshot, Stats, Workspace
from vendetta.providers.base import Provider
from vendetta.providers.powers import Console, Files, Logs, Measured, Snapshots, require
from vendetta.store import Page, Store
from vendetta.transport import Output, Process, Stream, Terminal

from .placement import check_open


class Workspaces:
    def __init__(self, store: Store, engines: Engines, operations: Operations) -> None:
        self._store = store
        self._engines = engines
        self._operations = operations

    async def create(self, ask: Ask, request: WorkspaceRequest) -> Operation:
        """Submit the creation. Its result is the `Workspace`.

        Raises `InvalidInput`, `UnknownProvider`, `NodeNotFound`, `WrongState` (the node is cordoned) and `NameTaken`
        before anything is begun.
        """
        self._engines.registry.validate(request.provider, request.spec())
        if request.node is not None:
            node = await self._store.nodes.get(request.node)
            if not await self._operations.known(ask.key):
                check_open(node)
        if await self._taken(request.name) and not await self._operations.known(ask.key):
            raise NameTaken(
                f"there is already a workspace {request.name}",
                hint=f"Choose another name, or remove it: vendetta workspace remove {request.name}",
            )
        return await self._operations.submit(ask, "workspace.create", request.name, request.build_input())

    async def change(self, ask: Ask, kind: str, name: str, request: Request = NO_CONFIG) -> Operation:
        """Submit a change of `kind` (see `changes.CHANGES`) to a workspace. Raises `WorkspaceNotFound`."""
        # a repeated request whose first one has already removed the workspace is still answered by its operation
        if not await self._operations.known(ask.key):
            await self._store.workspaces.check(name)
        return await self._operations.submit(ask, kind, name, request.build_input())

    async def get(self, name: str) -> Workspace:
        return await self._store.workspaces.get(name)

    async def list(
        self,
        *,
        node: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Workspace]:
        return await self._store.workspaces.list(
            node=node, provider=provider, state=state, labels=labels or {}, limit=limit, cursor=cursor
        )

    @asynccontextmanager
    async def exec(self, name: str, request: ExecRequest) -> AsyncIterator[Process]:
        """Start a process in the workspace. An empty `argv` is a login shell, whichever the image has."""
        async with self._provider(name) as provider:
            process = await provider.exec(
                name,
                request.argv,
                terminal=build_terminal(request),
                env=request.env,
                cwd=request.cwd,
                user=request.user,
            )
            try:
                yield process
            finally:
                await process.close()

    @asynccontextmanager
    async def console(self, name: str, terminal: Terminal) -> AsyncIterator[Process]:
        """Open the workspace's own console: what it shows as it boots, and its login."""
        async with self._provider(name) as provider:
            process = await require(provider, Console).open_console(name, terminal)
            try:
                yield process
            finally:
                await process.close()

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        async with self._provider(name) as provider:
            able = require(provider, Logs)
            async with aclosing(able.logs(name, follow=follow, tail=tail, since=since)) as outputs:  # type: ignore[type-var]
                async for output in outputs:
                    yield output

    async def stats(self, name: str) -> Stats:
        async with self._provider(name) as provider:
            return await require(provider, Measured).stats(name)

    async def snapshots(self, name: str) -> Sequence[Snapshot]:
        async with self._provider(name) as provider:
            return await require(provider, Snapshots).list_snapshots(name)

    async def stat_path(self, name: str, path: str) -> PathStat:
        """Return what stands at `path`. Raises `PathNotFound`."""
        async with self._provider(name) as provider:
            found = await require(provider, Files).stat_path(name, path)
        if found is None:
            raise PathNotFound(f"there is nothing at {path} in workspace {name}", path=path)
        return found

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        async with self._provider(name) as provider:
            await require(provider, Files).put_archive(name, directory, archive)

    async def get_archive(self, name: str, path: str) -> AsyncIterator[Output]:
        async with self._provider(name) as provider:
            able = require(provider, Files)
            async with aclosing(able.get_archive(name, path)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield Output("stdout", piece)

    @asynccontextmanager
    async def dial(self, name: str, port: int) -> AsyncIterator[Stream]:
        """Open a TCP stream to a port inside; it is closed in the end."""
        async with self._provider(name) as provider:
            stream = await provider.dial(name, port)
            try:
                yield stream
            finally:
                await stream.close()

    @asynccontextmanager
    async def _provider(self, name: str) -> AsyncIterator[Provider]:
        workspace = await self.get(name)
        try:
            async with self._engines.provider(workspace.node, workspace.provider) as provider:
                yield provider
        except InstanceNotFound as exc:
            raise WrongState(
                f"workspace {name} is missing: node {workspace.node} no longer has it",
                hint=f"Remove the record with: vendetta workspace remove {name}",
            ) from exc

    async def _taken(self, name: str) -> bool:
        try:
            await self._store.workspaces.check(name)
        except WorkspaceNotFound:
            return False
        return True
