"""A program running in an instance in memory, as the transport's `Process`."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from vendetta.errors import InvalidInput
from vendetta.transport import Output, Terminal

from .pipes import Pipe
from .programs import Listen, Shell, run

KILLED = 128 + signal.SIGKILL


class MemoryProcess:
    """Starts at once. Its output waits to be read, a few pieces at most."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        terminal: Terminal | None = None,
        env: Mapping[str, str],
        cwd: str = "/",
        user: str = "0",
        listen: Listen,
    ) -> None:
        self._terminal = terminal
        self._stdin = Pipe()
        self._output: asyncio.Queue[Output | None] = asyncio.Queue(maxsize=16)
        self._exhausted = False
        self._end_status = KILLED
        shell = Shell(
            argv=argv,
            stdin=self._stdin,
            write=self._emit,
            env=env,
            cwd=cwd,
            user=user,
            terminal=lambda: self._terminal,
            listen=listen,
        )
        self._program = asyncio.create_task(run(shell))
        self._status = asyncio.create_task(self._finish())

    async def read(self) -> Output | None:
        if self._exhausted:
            return None
        piece = await self._output.get()
        self._exhausted = piece is None
        return piece

    async def write(self, data: bytes) -> None:
        await self._stdin.write(data)

    async def write_eof(self) -> None:
        await self._stdin.end()

    async def resize(self, columns: int, rows: int) -> None:
        if self._terminal is not None:
            self._terminal = replace(self._terminal, columns=columns, rows=rows)

    async def signal(self, name: str) -> None:
        try:
            number = signal.Signals[f"SIG{name}"]
        except KeyError as exc:
            raise InvalidInput(f'unknown signal "{name}"', hint="For example: INT, TERM, KILL, HUP.") from exc
        self.end(128 + number)

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    async def close(self) -> None:
        self.end(KILLED)
        await self._stdin.end()
        self._exhausted = True
        while not self._status.done():
            if self._output.full():
                self._output.get_nowait()
            await asyncio.sleep(0)

    def end(self, status: int) -> None:
        """Ends a program that runs with this exit status."""
        self._end_status = status
        self._program.cancel()

    async def _emit(self, channel: Literal["stdout", "stderr"], data: bytes) -> None:
        await self._output.put(Output("stdout" if self._terminal else channel, data))

    async def _finish(self) -> int:
        await asyncio.wait([self._program])
        status = self._end_status if self._program.cancelled() else self._program.result()
        await self._output.put(None)
        return status
