"""The power `Files` for technologies without a way of their own: `tar`, `stat` and `sh` of the instance, by exec.

busybox's are enough. Each function takes `run`, which starts a program in the instance, as root.
"""

import asyncio
import posixpath
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from vendetta.errors import InvalidInput, OutOfResources, PathNotFound, ProviderError, UnexpectedReply, Unsupported
from vendetta.models import PathKind, PathStat
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Process

Run = Callable[[Sequence[str]], Awaitable[Process]]

_ABSENT, _MISSING_PROGRAM = 66, 127
_STAT = """\
[ -e "$1" ] || [ -h "$1" ] || exit 66
stat -c '%f %s' "$1" && if [ -h "$1" ]; then readlink "$1"; fi"""
UNPACK = 'cd "$1" || exit 66; exec tar -x -p -f -'
"""The script of `put_archive`, which is given the directory."""

_PACK = 'cd "$1" || exit 66; [ -e "$2" ] || [ -h "$2" ] || exit 66; exec tar -c -f - -- "$2"'

_KINDS: dict[int, PathKind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


async def stat_path(run: Run, path: str) -> PathStat | None:
    """Implement `Files.stat_path` by commands: `run` runs a program in the instance."""
    check_path(path)
    process = await run(["sh", "-c", _STAT, "vendetta", path])
    said = bytearray()
    try:
        await process.write_eof()
        errors = bytearray()
        while (piece := await process.read()) is not None:
            (said if piece.channel == "stdout" else errors).extend(piece.data)
        status = await process.wait()
    finally:
        await process.close()
    if status == _ABSENT:
        return None
    if status:
        raise _failure(f"look at {path}", status, bytes(errors))
    first, _, target = bytes(said).decode(errors="surrogateescape").partition("\n")
    try:
        mode, size = first.split()
        bits = int(mode, 16)
        kind = _KINDS.get(stat.S_IFMT(bits), "other")
        return PathStat(
            kind=kind,
            size_bytes=int(size),
            mode=stat.S_IMODE(bits),
            target=target.removesuffix("\n") if kind == "link" else None,
        )
    except ValueError as exc:
        raise UnexpectedReply(f"can't look at {path}: stat said {first!r}") from exc


async def put_archive(run: Run, directory: str, archive: AsyncIterator[bytes]) -> None:
    """Implement `Files.put_archive` by tar: `run` runs a program in the instance."""
    check_path(directory)
    process = await run(["sh", "-c", UNPACK, "vendetta", directory])
    listening = asyncio.create_task(_read_to_end(process))
    try:
        async for piece in archive:
            if listening.done():
                break  # tar has given up: what it said counts
            await process.write(piece)
        await process.write_eof()
        status, errors = await listening
    finally:
        await cancel_and_wait(listening)
        await process.close()
    if status == _ABSENT:
        raise PathNotFound(f"there is no directory {directory}")
    if status:
        raise _failure(f"write to {directory}", status, errors)


async def get_archive(run: Run, path: str) -> AsyncGenerator[bytes, None]:
    """Implement `Files.get_archive` by tar: `run` runs a program in the instance."""
    check_path(path)
    parent, last = posixpath.split(path.rstrip("/") or "/")
    process = await run(["sh", "-c", _PACK, "vendetta", parent, last or "."])
    errors = bytearray()
    try:
        await process.write_eof()
        while (piece := await process.read()) is not None:
            if piece.channel == "stdout":
                yield piece.data
            else:
                errors += piece.data[: 4096 - len(errors)]
        status = await process.wait()
    finally:
        await process.close()
    if status == _ABSENT:
        raise PathNotFound(f"there is nothing at {path}")
    if status:
        raise _failure(f"read {path}", status, bytes(errors))


def check_path(path: str) -> None:
    """Raise `InvalidInput` for what isn't an absolute path."""
    if not path.startswith("/") or "\0" in path:
        raise InvalidInput(f'"{path}" is not an absolute path')


async def _read_to_end(process: Process) -> tuple[int, bytes]:
    """Return the exit status, and the first 4096 bytes of the output."""
    said = bytearray()
    while (piece := await process.read()) is not None:
        said += piece.data[: 4096 - len(said)]
    return await process.wait(), bytes(said)


def _failure(doing: str, status: int, said: bytes) -> Exception:
    words = said.decode(errors="replace").strip()
    if "No space left" in words:
        return OutOfResources(f"can't {doing}: no space left", hint="Free some room in it, or give it a larger disk.")
    if status == _MISSING_PROGRAM:
        return Unsupported(f"can't {doing}: there is no sh, tar or stat in it", hint="Files are copied by its own tar.")
    return ProviderError(f"can't {doing}: exit status {status}", hint=words or None)
