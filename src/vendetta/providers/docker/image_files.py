"""Files that hold an image: what `docker save` writes, an OCI layout, or a bare root file system, as a tar."""

import asyncio
import hashlib
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vendetta.errors import InvalidInput

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageFile:
    """`id` is the image's own where the file says it; without `is_image` it is a root file system.

    `digest` is the SHA-256 of the whole file, in hex.
    """

    path: Path
    is_image: bool
    id: str | None
    digest: str
    size_bytes: int


async def read_image_file(path: Path) -> ImageFile:
    """Look at the file. Raises `InvalidInput` for what isn't a tar, compressed or not."""
    return await asyncio.to_thread(_read, path)


async def pieces_of_file(path: Path, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    """Yield the file's bytes; `on_bytes` is called with how many were taken so far."""
    sent = 0
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece
            sent += len(piece)
            on_bytes(sent)


def _read(path: Path) -> ImageFile:
    try:
        with tarfile.open(path) as tar:
            manifest, is_layout = _find_manifest(tar)
    except (tarfile.TarError, EOFError) as exc:
        raise InvalidInput(
            f"{path.name} is not an image",
            hint="Docker takes what `docker save` writes, or a tar of a root file system.",
        ) from exc
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = manifest[0]["Config"] if manifest else None
    return ImageFile(path, bool(manifest) or is_layout, _id_of(config), digest, path.stat().st_size)


def _find_manifest(tar: tarfile.TarFile) -> tuple[list[dict[str, Any]] | None, bool]:
    """docker's manifest.json, and whether there is an OCI layout: both may be anywhere in the file."""
    is_layout = False
    for member in tar:
        if member.name == "oci-layout":
            is_layout = True
        if member.name == "manifest.json" and (file := tar.extractfile(member)) is not None:
            return msgspec.json.decode(file.read(), type=list[dict[str, Any]]), is_layout
    return None, is_layout


def _id_of(config: str | None) -> str | None:
    """The image's id is the digest of its configuration, after which docker names the file."""
    if config is None:
        return None
    return f"sha256:{Path(config).name.removesuffix('.json')}"
