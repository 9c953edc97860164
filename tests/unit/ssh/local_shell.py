"""A node's shell without the node: the scripts for a node run here, by any shell, in a home of their own."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vendetta.transport import CommandResult, Output, Terminal


class LocalProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue()
        assert process.stdout
        assert process.stderr
        self._reading = [
            asyncio.create_task(self._read("stdout", process.stdout)),
            asyncio.create_task(self._read("stderr", process.stderr)),
        ]
        self._ending = asyncio.create_task(self._end())

    async def read(self) -> Output | None:
        return await self._outputs.get()

    async def write(self, data: bytes) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError, ConnectionResetError):  # what has ended says so by its output's end
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def write_eof(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    async def close(self) -> None:
        """As sshd does it: the pipes are closed, and the process is left to notice."""
        await self.write_eof()
        await self._ending

    async def resize(self, columns: int, rows: int) -> None: ...

    async def signal(self, name: str) -> None: ...

    async def wait(self) -> int:
        return await self._process.wait()

    async def _read(self, channel: str, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            await self._outputs.put(Output(channel, data))  # type: ignore[arg-type]

    async def _end(self) -> None:
        await asyncio.gather(*self._reading)
        await self._process.wait()
        await self._outputs.put(None)


class LocalShell:
    """What the scripts need of a connection. `shell` stands in for the node's `sh`."""

    node = "local"
    user = "me"
    closed = False

    def __init__(self, home: Path, shell: Sequence[str] = ("sh",), env: Mapping[str, str] | None = None) -> None:
        self._shell = list(shell)
        self._env = {"PATH": os.environ["PATH"], "HOME": str(home), **(env or {})}

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> LocalProcess:
        return LocalProcess(await self._start(argv))

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        process = await self._start(argv)
        stdout, stderr = await process.communicate(input)
        return CommandResult(process.returncode or 0, stdout, stderr)

    async def _start(self, argv: Sequence[str]) -> asyncio.subprocess.Process:
        assert argv[0] == "sh"
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *self._shell, *argv[1:], stdin=pipe, stdout=pipe, stderr=pipe, env=self._env
        )
