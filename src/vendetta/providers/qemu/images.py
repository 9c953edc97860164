"""Images on the node: named content that is kept once, given from here or fetched there; disks, and kernels too."""

import asyncio
import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from vendetta.errors import InvalidInput, UnexpectedReply
from vendetta.models import Image, Progress
from vendetta.providers.base import OnProgress
from vendetta.transport import CommandResult

from .options import check_image_name, is_address
from .scripts import IMAGES, Scripts

CHUNK_BYTES = 2**20
KEEP_SECONDS = 600.0
"""For the checksum of a large image."""
ANY = "-"


class Kept(msgspec.Struct, frozen=True):
    """What stands with an image's name."""

    name: str
    owner: str
    created_at: float


class Images:
    """Of one node. `owner` is whose an image is counted to be that comes by this way; all may use it."""

    def __init__(self, scripts: Scripts, owner: str) -> None:
        self._scripts = scripts
        self._owner = owner

    async def list(self, *, ours: bool = False) -> Sequence[Image]:
        """Return them by name; `ours` are those that we brought."""
        output = await self._scripts.run("list images", IMAGES, "list")
        return sorted(
            (image for image, kept in parse_images(output) if not ours or kept.owner == self._owner),
            key=lambda image: image.name,
        )

    async def push(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        """Send it, and go on where an earlier try broke off. Raises `InvalidInput`, `OutOfResources`."""
        check_image_name(name)
        sha, size = await asyncio.to_thread(_measure, file)
        part = f"{sha}-{self._owner}"
        there = (await self._scripts.run(f"push image {name}", IMAGES, "have", sha, part)).decode().strip()
        if there != "whole":
            await self._send(name, file, part, int(there), size, on_progress)
        return await self._keep(name, part, sha)

    async def pull(
        self, name: str, on_progress: OnProgress, *, sha256: str | None = None, again: bool = False
    ) -> Image:
        """Fetch it; `again`: also where it is there already.

        Raises `ImageNotFound`, `OutOfResources`, `InvalidInput`.
        """
        if not is_address(name):
            raise InvalidInput(f'"{name}" says no place', hint="An image is pulled from its http(s) address.")
        arguments = (image_key(name), name, sha256 or ANY, self._build_kept(name), "again" if again else "once")
        process = await self._scripts.open(IMAGES, "fetch", *arguments)
        said, errors = bytearray(), bytearray()
        try:
            while (piece := await process.read()) is not None:
                if piece.channel == "stderr":
                    errors += piece.data
                    continue
                said += piece.data
                *lines, rest = bytes(said).split(b"\n")
                for line in lines:
                    if progress := parse_progress(line, name):
                        on_progress(progress)
                        said[:] = rest
            status = await process.wait()
        finally:
            await process.close()
        if status:
            raise self._scripts.explain(f"pull image {name}", CommandResult(status, bytes(said), bytes(errors)))
        return _find(await self.list(), name)

    async def remove(self, name: str) -> None:
        await self._scripts.run(f"remove image {name}", IMAGES, "remove", image_key(name))

    async def _send(self, name: str, file: Path, part: str, offset: int, size: int, on_progress: OnProgress) -> None:
        """As gzip members, of which those that hold nothing but zeros are short: a sparse image is soon there."""
        process = await self._scripts.open(IMAGES, "receive", part)
        try:
            with file.open("rb") as content:
                content.seek(offset)
                while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
                    await process.write(build_member(chunk))
                    offset += len(chunk)
                    on_progress(Progress(message=f"push {name}", current=offset, total=size))
            await process.write_eof()
            errors = bytearray()
            while (piece := await process.read()) is not None:
                errors += piece.data
            status = await process.wait()
        finally:
            await process.close()
        if status:
            raise self._scripts.explain(f"push image {name}", CommandResult(status, b"", bytes(errors)))

    async def _keep(self, name: str, part: str, sha: str) -> Image:
        arguments = (part, sha, image_key(name), self._build_kept(name))
        await self._scripts.run(f"push image {name}", IMAGES, "keep", *arguments, timeout_seconds=KEEP_SECONDS)
        return _find(await self.list(), name)

    def _build_kept(self, name: str) -> str:
        kept = Kept(name=name, owner=self._owner, created_at=datetime.now(UTC).timestamp())
        return msgspec.json.encode(kept).decode()


def image_key(name: str) -> str:
    """Return the name of the file in the store, for an image's name, which may be an address."""
    return hashlib.sha256(name.encode()).hexdigest()[:40]


def build_member(chunk: bytes) -> bytes:
    """Build one member of a gzip file (RFC 1952); compressed where that costs nothing."""
    level = 0 if chunk.strip(b"\0") else 1
    packing = zlib.compressobj(level, wbits=31)
    return packing.compress(chunk) + packing.flush()


def parse_images(output: bytes) -> list[tuple[Image, Kept]]:
    """Read the script's list, two lines each. Raises `UnexpectedReply`."""
    lines = output.decode(errors="replace").splitlines()
    try:
        return [_parse_image(lines[start], lines[start + 1]) for start in range(0, len(lines), 2)]
    except (ValueError, IndexError, msgspec.DecodeError) as exc:
        raise UnexpectedReply("the images on the node can't be understood") from exc


def _parse_image(head: str, record: str) -> tuple[Image, Kept]:
    sha, format_, size = head.split()
    kept = msgspec.json.decode(record, type=Kept)
    image = Image(
        name=kept.name,
        id=f"sha256:{sha}",
        size_bytes=int(size),
        created_at=datetime.fromtimestamp(kept.created_at, UTC),
        description=format_,
    )
    return image, kept


def parse_progress(line: bytes, name: str) -> Progress | None:
    """Read `done BYTES TOTAL`, of which the total is 0 where it isn't known."""
    word, *numbers = line.split()[:3] or [b""]
    if word != b"done" or len(numbers) != 2 or not all(number.isdigit() for number in numbers):
        return None
    current, total = map(int, numbers)
    return Progress(message=f"pull {name}", current=current, total=total or None)


def _find(images: Sequence[Image], name: str) -> Image:
    for image in images:
        if image.name == name:
            return image
    raise UnexpectedReply(f"image {name} was kept, and is gone again")


def _measure(file: Path) -> tuple[str, int]:
    """Return its SHA-256 and size in bytes."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest(), file.stat().st_size
