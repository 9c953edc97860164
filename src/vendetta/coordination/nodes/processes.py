"""Processes on the nodes themselves, outside of every workspace: one that is talked to, or the same on many at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vendetta.coordination.engines import Engines
from vendetta.coordination.requests import ExecRequest, RunRequest, build_terminal
from vendetta.errors import InvalidInput, LinkTimeout, VendettaError
from vendetta.models import NodeRun, Problem
from vendetta.ssh.channel import Connection
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Process

AT_ONCE = 64
KEPT_BYTES = 2**20
"""Of each stream of each node: a hundred nodes that print for ever must not fill the memory."""


class NodeProcesses:
    def __init__(self, store: Store, engines: Engines) -> None:
        self._store = store
        self._engines = engines

    @asynccontextmanager
    async def open(self, name: str, request: ExecRequest) -> AsyncIterator[Process]:
        """Start a process on one node; it is ended in the end. An empty `argv` is the login shell.

        Raises `NodeNotFound`, `InvalidInput`, any `LinkError`.
        """
        if request.cwd or request.user:
            raise InvalidInput("exec on a node takes neither cwd nor user", hint="Use: env -C DIR … or sudo -u USER …")
        terminal = build_terminal(request)
        async with self._engines.connection(name) as connection:
            process = await connection.open_process(request.argv, terminal=terminal, env=request.env)
            try:
                yield process
            finally:
                await process.close()

    async def run(self, request: RunRequest) -> AsyncIterator[NodeRun]:
        """Run a command on each of the nodes, and yield each outcome as it comes.

        Raises `NodeNotFound` before anything is run. Closed early, it ends what still runs.
        """
        names = await self._choose(request)
        turn = asyncio.Semaphore(AT_ONCE)

        async def run(name: str) -> NodeRun:
            async with turn:
                return await self._run_on(name, request)

        tasks = [asyncio.create_task(run(name)) for name in names]
        try:
            for outcome in asyncio.as_completed(tasks):
                yield await outcome
        finally:
            await cancel_and_wait(*tasks)

    async def _choose(self, request: RunRequest) -> list[str]:
        if request.nodes:
            return [(await self._store.nodes.get(name)).name for name in dict.fromkeys(request.nodes)]
        return [node.name for node in await self._store.nodes.all(labels=request.labels)]

    async def _run_on(self, name: str, request: RunRequest) -> NodeRun:
        try:
            async with asyncio.timeout(request.timeout_seconds), self._engines.connection(name) as connection:
                return await collect(connection, request)
        except TimeoutError:
            error = LinkTimeout(f"run {request.argv[0]} on node {name}: not done after {request.timeout_seconds:g} s")
            return NodeRun(node=name, problem=Problem.from_error(error))
        except VendettaError as exc:
            return NodeRun(node=name, problem=Problem.from_error(exc))


async def collect(connection: Connection, request: RunRequest) -> NodeRun:
    """Run the command to its end without input, and keep the beginning of what it writes."""
    wrote = {"stdout": bytearray(), "stderr": bytearray()}
    truncated = False
    process = await connection.open_process(request.argv, env=request.env)
    try:
        await process.write_eof()
        while output := await process.read():
            kept = wrote[output.channel]
            truncated = truncated or len(kept) + len(output.data) > KEPT_BYTES
            kept += output.data[: KEPT_BYTES - len(kept)]
        exit_status = await process.wait()
    finally:
        await process.close()
    stdout, stderr = (bytes(kept).decode(errors="replace") for kept in wrote.values())
    return NodeRun(node=connection.node, exit_status=exit_status, stdout=stdout, stderr=stderr, truncated=truncated)
