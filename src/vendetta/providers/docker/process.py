"""A program that runs in a container by exec, as the transport's `Process`."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from vendetta.errors import Unsupported, WrongState
from vendetta.transport import Output, Terminal

from .engine import Engine
from .errors import Refused
from .frames import pieces_of
from .hijack import Hijacked

_REFUSED = b"OCI runtime exec failed"
_NO_SUCH_PROGRAM = re.compile(rb"executable file not found|no such file or directory")
_MISSING, _NOT_EXECUTABLE = 127, 126
"""Exit statuses as shells have them; the engine says 126 for both."""

_END_OF_INPUT = b"\x04"
_RESIZE_TRIES = 40


class DockerProcess:
    """Closing it lets go of the streams: the engine has no way to end what was run by exec."""

    def __init__(self, engine: Engine, exec_id: str, stream: Hijacked, terminal: Terminal | None) -> None:
        self._engine = engine
        self._path = f"exec/{exec_id}"
        self._stream = stream
        self._has_terminal = terminal is not None
        self._pieces = pieces_of(stream.reader, terminal=self._has_terminal)
        self._ended = asyncio.Event()
        self._closed = False
        self._refused_with: int | None = None

    @classmethod
    async def start(cls, engine: Engine, exec_id: str, terminal: Terminal | None) -> "DockerProcess":
        """Start a prepared exec. To be called under the engine's `doing`."""
        body: dict[str, Any] = {"Detach": False, "Tty": terminal is not None}
        if terminal is not None:
            # Engines before API 1.42 pass this over: there the size comes a moment after the start.
            body["ConsoleSize"] = [terminal.rows, terminal.columns]
        stream = await engine.hijack(f"exec/{exec_id}/start", body)
        process = cls(engine, exec_id, stream, terminal)
        if terminal is not None:
            await process.resize(terminal.columns, terminal.rows)
        return process

    async def read(self) -> Output | None:
        if self._ended.is_set():
            return None
        async with self._engine.doing("read from a program"):
            piece = await self._pieces.read()
        if piece is None:
            self._stream.close()
            self._ended.set()
        elif piece.data.startswith(_REFUSED):
            # The engine's own words, in the stream, about a program that it could not run.
            self._refused_with = _MISSING if _NO_SUCH_PROGRAM.search(piece.data) else _NOT_EXECUTABLE
            return Output("stderr", piece.data)
        return piece

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_eof(self) -> None:
        if self._has_terminal:
            await self.write(_END_OF_INPUT)
        else:
            self._stream.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        if not self._has_terminal:
            return
        size = {"h": str(rows), "w": str(columns)}
        async with self._engine.doing("resize a terminal"):
            for _ in range(_RESIZE_TRIES):
                try:
                    await self._engine.ask("POST", f"{self._path}/resize", params=size)
                except Refused:
                    # The engine answers the start before the program runs, and can't resize what doesn't run yet.
                    if (await self._inspect())["ExitCode"] is not None:
                        return
                    await asyncio.sleep(0.01)
                else:
                    return

    async def signal(self, name: str) -> None:
        raise Unsupported(
            "Docker can't signal what was run by exec", hint="On a terminal, send the key instead, such as Ctrl-C."
        )

    async def wait(self) -> int:
        await self._ended.wait()
        pause = 0.002
        async with self._engine.doing("ask how a program ended"):
            while (answer := await self._inspect())["Running"] or answer["ExitCode"] is None:
                if self._closed:
                    raise WrongState("the program was let go of while it ran: how it ends can't be known")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
        return self._refused_with or int(answer["ExitCode"])

    async def _inspect(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._engine.ask("GET", f"{self._path}/json")
        return found

    async def close(self) -> None:
        self._closed = True
        self._ended.set()
        self._stream.close()
