"""Channels of a connection as the transport's streams and processes."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import asyncssh

from vendetta.errors import InvalidInput, VendettaError
from vendetta.transport import Output, Terminal

from .failures import lost, using

CHUNK_BYTES = 65536


class ChannelStream:
    """A forwarded TCP or unix connection."""

    def __init__(
        self, node: str, what: str, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]
    ) -> None:
        self._node = node
        self._what = what
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = CHUNK_BYTES) -> bytes:
        with using(self._node, self._what):
            return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        with using(self._node, self._what):
            self._writer.write(data)
            await self._writer.drain()

    async def write_eof(self) -> None:
        with using(self._node, self._what), suppress(BrokenPipeError):
            self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()


class ChannelProcess:
    """A process on the node. `release` gives its session slot back, once."""

    def __init__(
        self,
        node: str,
        process: asyncssh.SSHClientProcess[bytes],
        terminal: Terminal | None,
        release: Callable[[], None],
    ) -> None:
        self._node = node
        self._process = process
        self._terminal = terminal
        self._release = release
        # a piece or two are enough to keep going; what isn't read stays with the sender
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue(maxsize=2)
        self._failure: VendettaError | None = None
        self._reading = asyncio.create_task(self._read_all())

    async def read(self) -> Output | None:
        output = await self._outputs.get()
        if output is None:
            self._outputs.put_nowait(None)
            if self._failure:
                raise self._failure
        return output

    async def write(self, data: bytes) -> None:
        with using(self._node, "write to a process"):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def write_eof(self) -> None:
        with using(self._node, "write to a process"), suppress(BrokenPipeError):
            self._process.stdin.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        if self._terminal:
            self._process.change_terminal_size(columns, rows)

    async def signal(self, name: str) -> None:
        if name not in SIGNALS:
            raise InvalidInput(f'"{name}" is not a signal', hint=f"Signals: {', '.join(sorted(SIGNALS))}.")
        with using(self._node, "signal a process"):
            self._process.send_signal(name)

    async def wait(self) -> int:
        with using(self._node, "wait for a process"):
            await self._process.wait_closed()
        status = exit_status(self._process)
        if status is None:
            raise lost(self._node, "wait for a process")
        return status

    async def close(self) -> None:
        self._process.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._release()

    async def _read_all(self) -> None:
        try:
            with using(self._node, "read from a process"):
                await asyncio.gather(
                    self._read("stdout", self._process.stdout), self._read("stderr", self._process.stderr)
                )
                await self._outputs.put(None)
                await self._process.wait_closed()
        except VendettaError as exc:
            self._failure = exc
            await self._outputs.put(None)
        finally:
            self._release()

    async def _read(self, channel: Literal["stdout", "stderr"], reader: asyncssh.SSHReader[bytes]) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._outputs.put(Output(channel, data))


SIGNALS = frozenset(
    {"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"}
)
"""Those that RFC 4254 names, 6.10."""


def exit_status(process: "asyncssh.SSHClientProcess[bytes]") -> int | None:
    """128 + N for signal N, as shells count; None where the connection ended before the process."""
    if process.returncode is None:
        return None
    return 128 - process.returncode if process.returncode < 0 else process.returncode
