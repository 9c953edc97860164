"""The file of an image on this side: what it is packed with, and its digest."""

import hashlib
import tarfile
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from vendetta.errors import InvalidInput

PIECE_BYTES = 256 * 1024

_PACKED = {b"\x1f\x8b": "gzip -dc", b"BZh": "bzip2 -dc", b"\xfd7zXZ\x00": "xz -dc", b"\x28\xb5\x2f\xfd": "zstd -dc"}


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """`unpack` is the command that unpacks it, on the node."""

    path: Path
    digest: str
    size_bytes: int
    unpack: str


async def examine(path: Path) -> ArchiveFile:
    """Look at the file. Raises `InvalidInput` for what isn't a tar, packed or not."""
    return await to_thread(_examine, path)


async def pieces_of(file: ArchiveFile, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    """Yield the file's bytes; `on_bytes` is called with how many were taken so far."""
    sent = 0
    with await to_thread(file.path.open, "rb") as opened:
        while piece := await to_thread(opened.read, PIECE_BYTES):
            yield piece
            sent += len(piece)
            on_bytes(sent)


def _examine(path: Path) -> ArchiveFile:
    try:
        with path.open("rb") as opened:
            start = opened.read(6)
            opened.seek(0)
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        unpack = next((command for magic, command in _PACKED.items() if start.startswith(magic)), "cat")
        # Python can't read what zstd has packed: tar will, on the node
        if not unpack.startswith("zstd") and not tarfile.is_tarfile(path):
            raise InvalidInput(
                f"{path.name} is no image",
                hint="A tar of a root file system, plain or packed with gzip, xz or zstd.",
            )
        return ArchiveFile(path, digest, path.stat().st_size, unpack)
    except OSError as exc:
        raise InvalidInput(f"can't read {path}: {exc.strerror}") from exc
