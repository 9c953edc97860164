"""One instance in memory: its own program while it runs, the programs run in it, and what it wrote."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from vendetta.errors import ConnectFailed
from vendetta.models import Instance, InstanceSpec, InstanceState
from vendetta.transport import Output, Terminal

from .pipes import Pipe, PipeStream
from .process import KILLED, MemoryProcess

TERMINATED = 143


class MemoryInstance:
    """Runs `command` (None: nothing) and has `address` while it does. `on_end` is told when it ends by itself."""

    def __init__(
        self,
        shown: Instance,
        *,
        owner: str,
        spec: InstanceSpec,
        command: Sequence[str] | None,
        address: str,
        on_end: Callable[[], None],
    ) -> None:
        self.shown = shown
        self.owner = owner
        self.spec = spec
        self.disk = b""
        """What a test has put there: it goes where the instance goes."""
        self.mark: str | None = None
        """Of the move that made it."""
        self._command = command
        self._address = address
        self._on_end = on_end
        self._program: MemoryProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._processes: list[MemoryProcess] = []
        self._listeners: dict[int, Sequence[str]] = {}
        self._written: list[tuple[float, Output]] = []
        self._changed = asyncio.Condition()

    @property
    def running(self) -> bool:
        return self.shown.state == "running"

    def start(self) -> None:
        self.shown = replace(self.shown, state="running", address=self._address, exit_status=None, reason=None)
        if self._command:
            self._program = self.spawn(self._command)
            self._supervisor = asyncio.create_task(self._supervise(self._program))

    async def stop(self, exit_status: int = TERMINATED) -> None:
        self._end("stopped", exit_status)
        for process in self._processes:
            process.end(KILLED)
        self._processes.clear()
        self._listeners.clear()
        if self._supervisor is not None:
            # whoever stops it may be cancelled meanwhile: that ends nobody else
            await asyncio.wait([self._supervisor])
        await self._notify()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        terminal: Terminal | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> MemoryProcess:
        process = MemoryProcess(
            argv,
            terminal=terminal,
            env={**self.spec.env, **(env or {})},
            cwd=cwd or "/",
            user=user or "0",
            listen=self._listeners.__setitem__,
        )
        self._processes.append(process)
        return process

    def connect(self, port: int) -> PipeStream:
        """A stream to whatever listens on `port`. Raises `ConnectFailed`."""
        argv = self._listeners.get(port)
        if argv is None:
            raise ConnectFailed(f"nothing listens on port {port} of {self.shown.name}")
        incoming, outgoing = Pipe(), Pipe()
        task = asyncio.create_task(_serve(self.spawn(argv), outgoing, incoming))
        return PipeStream(incoming, outgoing, task)

    async def logs(self, *, follow: bool, tail: int | None, since: float | None) -> AsyncIterator[Output]:
        lines = [(when, output) for when, output in self._written if since is None or when >= since]
        position = len(self._written)
        for _, output in lines[len(lines) - min(tail, len(lines)) :] if tail is not None else lines:
            yield output
        while follow:
            async with self._changed:
                while len(self._written) == position and self.running:
                    await self._changed.wait()
                fresh = self._written[position:]
            for _, output in fresh:
                yield output
            position += len(fresh)
            follow = bool(fresh) or self.running

    async def _supervise(self, program: MemoryProcess) -> None:
        while (piece := await program.read()) is not None:
            for line in piece.data.splitlines(keepends=True):
                self._written.append((time.time(), Output(piece.channel, line)))
            await self._notify()
        status = await program.wait()
        if self.running and self.spec.command is not None:
            failed = f"ended with status {status}" if status else None
            self._end("failed" if failed else "stopped", status, failed)
            await self._notify()
            self._on_end()

    def _end(self, state: InstanceState, exit_status: int, reason: str | None = None) -> None:
        self.shown = replace(self.shown, state=state, address=None, exit_status=exit_status, reason=reason)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


async def _serve(process: MemoryProcess, incoming: Pipe, outgoing: Pipe) -> None:
    async def feed() -> None:
        while data := await incoming.read():
            await process.write(data)
        await process.write_eof()

    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(feed())
        while (piece := await process.read()) is not None:
            await outgoing.write(piece.data)
        feeding.cancel()
    await outgoing.end()
