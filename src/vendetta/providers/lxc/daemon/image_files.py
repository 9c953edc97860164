"""Files that hold an image: what `incus image export` writes (a unified tar), or a bare root file system, as a tar.

To a bare one we write the metadata that makes it an image, always the same for the same architecture: the daemon calls
an image by the SHA-256 of all its bytes, so that the same file is the same image.
"""

import asyncio
import hashlib
import io
import secrets
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from vendetta.errors import InvalidInput

PIECE_BYTES = 1 << 20
_ROOT_FOLDERS = {"bin", "etc", "sbin", "usr"}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """`metadata` is a tar of our own, for a bare root file system; None: the file has its own.

    `fingerprint` is what the daemon will call the image, in hex.
    """

    path: Path
    metadata: bytes | None
    fingerprint: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Upload:
    """The body of the request that gives an image to a daemon, and its type."""

    content_type: str
    pieces: AsyncIterator[bytes]


async def read_image_file(path: Path, architecture: str) -> ImageFile:
    """Look at the file. Raises `InvalidInput` for what isn't an image.

    `architecture` is the node's, as the kernel says it.
    """
    return await asyncio.to_thread(_read, path, architecture)


def build_upload(image: ImageFile, on_bytes: Callable[[int], None]) -> Upload:
    """Build the body of the upload; `on_bytes` is called with how many bytes of the file were taken so far."""
    if image.metadata is None:
        return Upload("application/octet-stream", _pieces(image.path, on_bytes))
    boundary = secrets.token_hex(16)
    pieces = _in_parts(boundary, image.metadata, _pieces(image.path, on_bytes))
    return Upload(f"multipart/form-data; boundary={boundary}", pieces)


def build_metadata(architecture: str) -> bytes:
    """Build a tar of `metadata.yaml` alone."""
    text = f"architecture: {architecture}\ncreation_date: 1\nproperties:\n  description: a root file system\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("metadata.yaml")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


async def _in_parts(boundary: str, metadata: bytes, root: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """As a browser's form sends two files; the daemon wants the metadata first."""
    for name, before in (("metadata", f"--{boundary}\r\n"), ("rootfs", f"\r\n--{boundary}\r\n")):
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{name}.tar"'
        yield f"{before}{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode()
        if name == "metadata":
            yield metadata
    async for piece in root:
        yield piece
    yield f"\r\n--{boundary}--\r\n".encode()


async def _pieces(path: Path, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    sent = 0
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
            sent += len(piece)
            on_bytes(sent)


def _read(path: Path, architecture: str) -> ImageFile:
    try:
        with tarfile.open(path) as tar:
            has_metadata, folders = _look_through(tar)
    except (tarfile.TarError, EOFError) as exc:
        raise _not_an_image(path) from exc
    if not has_metadata and not folders & _ROOT_FOLDERS:
        raise _not_an_image(path)
    metadata = None if has_metadata else build_metadata(architecture)
    digest = hashlib.sha256(metadata or b"")
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
    return ImageFile(path, metadata, digest.hexdigest(), path.stat().st_size)


def _look_through(tar: tarfile.TarFile) -> tuple[bool, set[str]]:
    """Whether it has a metadata.yaml, which is among the first where it has; and the folders at its top."""
    folders: set[str] = set()
    for member in tar:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if parts == ["metadata.yaml"]:
            return True, folders
        folders.update(parts[:1])
    return False, folders


def _not_an_image(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path.name} is not an image",
        hint="Give a tar of a root file system, or what `incus image export` writes as one file.",
    )
