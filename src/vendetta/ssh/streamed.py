"""Copies without SFTP: a file is written to `cat`, a folder goes through `tar` on both sides."""

import asyncio
import errno
import os
import secrets
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from vendetta.errors import CommandFailed, Forbidden, NotFound, OutOfResources, VendettaError
from vendetta.transport import OnBytes, Output, Process

from .failures import copying

PUT = files(__package__).joinpath("put.sh").read_text()
GET = files(__package__).joinpath("get.sh").read_text()
CHUNK_BYTES = 256 * 2**10
MOST_STDERR = 4096
END_SECONDS = 5.0

REASONS: Sequence[tuple[str, type[VendettaError]]] = (
    ("No such file", NotFound),
    ("nonexistent directory", NotFound),  # as dash says it
    ("Permission denied", Forbidden),
    ("Read-only file system", Forbidden),
    ("Operation not permitted", Forbidden),
    ("No space left", OutOfResources),
    ("quota exceeded", OutOfResources),
)

OpenProcess = Callable[[Sequence[str]], Awaitable[Process]]
Write = Callable[[bytes], Awaitable[None]]


class Sink(Protocol):
    async def write(self, data: bytes) -> None: ...


class Streamed:
    def __init__(self, node: str, open_process: OpenProcess) -> None:
        self._node = node
        self._open = open_process

    async def put(self, what: str, local: Path, remote: str, on_bytes: OnBytes | None) -> None:
        with copying(self._node, what):
            source = await asyncio.to_thread(local.resolve, strict=True)
            folder = await asyncio.to_thread(source.is_dir)
            total = await asyncio.to_thread(count_bytes, source)
        kind = "folder" if folder else "file"
        argv = ["sh", "-c", PUT, "sh", "", kind, remote, source.name]
        async with self._process(argv) as process:
            said = asyncio.create_task(_read_stderr(process))
            done = 0
            with copying(self._node, what):
                async for piece in read_folder(source) if folder else read_file(source):
                    await process.write(piece)
                    done += len(piece)
                    if on_bytes:
                        on_bytes(min(done, total), total)  # of an archive there is a little more
            await process.write_eof()
            self._require(what, argv, await process.wait(), await said)
        if on_bytes:
            on_bytes(total, total)

    async def get(self, what: str, remote: str, local: Path, on_bytes: OnBytes | None) -> None:
        mark = f"copy-{secrets.token_hex(8)}"
        argv = ["sh", "-c", GET, "sh", mark, remote]
        async with self._process(argv) as process:
            await process.write_eof()
            pieces = Pieces(process)
            word, *size = await pieces.find(mark)
            total = int(size[0]) if size else None
            done = 0
            with copying(self._node, what):
                async with open_target(word, local, remote) as write:
                    async for piece in pieces:
                        await write(piece)
                        done += len(piece)
                        if on_bytes:
                            on_bytes(done, total)
            status = await process.wait()
            self._require(what, argv, status if word else status or 1, bytes(pieces.stderr))

    @asynccontextmanager
    async def _process(self, argv: Sequence[str]) -> AsyncIterator[Process]:
        process = await self._open(argv)
        try:
            yield process
        finally:
            await process.close()

    def _require(self, what: str, argv: Sequence[str], status: int, stderr: bytes) -> None:
        if not status:
            return
        said = stderr.decode(errors="replace").strip()
        last = said.rpartition("\n")[2] or f"exit status {status}"
        for words, error in REASONS:
            if words.lower() in said.lower():
                hint = "Make room on that disk." if error is OutOfResources else None
                raise error(f"{what} on node {self._node}: {last}", hint=hint, node=self._node)
        raise CommandFailed(
            f"{what} on node {self._node}: {last}", argv=[argv[0], argv[1]], exit_status=status, stderr=said
        )


class Pieces:
    """What a process writes after the line that begins with a mark. `stderr` is what it says there, for a start."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._rest = b""
        self.stderr = bytearray()

    async def find(self, mark: str) -> list[str]:
        """The words after the mark; one that is empty where it never came."""
        head = b""
        while piece := await self._next():
            head += piece
            _, found, after = head.partition(f"{mark} ".encode())
            line, newline, rest = after.partition(b"\n")
            if found and newline:
                self._rest = rest
                return line.decode().split()
        return [""]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._rest:
            yield self._rest
        while piece := await self._next():
            yield piece

    async def _next(self) -> bytes:
        while output := await self._process.read():
            if output.channel == "stdout":
                return output.data
            self.stderr += output.data[: MOST_STDERR - len(self.stderr)]
        return b""


async def _read_stderr(process: Process) -> bytes:
    said = b""
    while output := await process.read():
        said = _kept(said, output)
    return said


def _kept(said: bytes, output: Output) -> bytes:
    return (said + output.data)[:MOST_STDERR] if output.channel == "stderr" else said


# this side


async def read_file(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield piece


async def read_folder(path: Path) -> AsyncIterator[bytes]:
    """As a tar archive, whose entries are named from the folder on."""
    tar = await asyncio.create_subprocess_exec("tar", "-cf", "-", "-C", str(path), ".", stdout=PIPE, stderr=PIPE)
    async with _ending(tar):
        assert tar.stdout  # noqa: S101 - a pipe was asked for
        while piece := await tar.stdout.read(CHUNK_BYTES):
            yield piece
        await _require_local(tar)


@asynccontextmanager
async def open_target(kind: str, local: Path, remote: str) -> AsyncIterator[Write]:
    """Where the bytes go: a file, or a folder that is unpacked; nowhere where `kind` is neither."""
    if not kind:
        yield _drop
        return
    target = local / remote.rstrip("/").rpartition("/")[2] if await asyncio.to_thread(local.is_dir) else local
    if kind == "file":
        with await asyncio.to_thread(target.open, "wb") as file:

            async def write(data: bytes) -> None:
                await asyncio.to_thread(file.write, data)

            yield write
        return
    await asyncio.to_thread(target.mkdir, exist_ok=True)
    tar = await asyncio.create_subprocess_exec("tar", "-xf", "-", "-C", str(target), stdin=PIPE, stderr=PIPE)
    async with _ending(tar):
        yield lambda data: _feed(tar, data)
        assert tar.stdin  # noqa: S101 - a pipe was asked for
        tar.stdin.close()
        await _require_local(tar)


async def _feed(tar: asyncio.subprocess.Process, data: bytes) -> None:
    assert tar.stdin  # noqa: S101 - a pipe was asked for
    with suppress(BrokenPipeError, ConnectionResetError):  # it has said why, and its status tells
        tar.stdin.write(data)
        await tar.stdin.drain()


async def _drop(data: bytes) -> None:
    """What comes without a mark before it is no file."""


async def _require_local(tar: asyncio.subprocess.Process) -> None:
    assert tar.stderr  # noqa: S101 - a pipe was asked for
    said = (await tar.stderr.read()).decode(errors="replace").strip()
    if await tar.wait():
        full = "No space left" in said
        raise OSError(errno.ENOSPC if full else errno.EIO, said.rpartition("\n")[2], "here")


@asynccontextmanager
async def _ending(tar: asyncio.subprocess.Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        if tar.returncode is None:
            tar.kill()
        await tar.wait()


def count_bytes(path: Path) -> int:
    """Of all files in it."""
    if not path.is_dir():
        return path.stat().st_size
    walked = ((folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, name in walked)
