"""Images on the node: root file systems, unpacked once, which containers use as the lower layer of their disks."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec

from vendetta.errors import ImageNotFound, InvalidInput, UnexpectedReply
from vendetta.models import Image, Progress
from vendetta.providers.base import OnProgress
from vendetta.tasks import cancel_and_wait
from vendetta.transport import CommandResult, Process

from .archive_files import ArchiveFile, examine, pieces_of
from .host import Host
from .names import Source, parse_image, parse_key

KEEPER = (files(__package__) / "scripts" / "keeper.sh").read_text()

_PATIENT = 3600.0
"""For a template that downloads, or a large push."""


class Facts(msgspec.Struct, frozen=True):
    """What is written of an image when it is made. Scripts know whose it is by the line's beginning."""

    owner: str
    made: datetime
    description: str


class Images:
    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(self) -> Sequence[Image]:
        said = await self._host.ask("list images", "images")
        return sorted((parse_image_line(line) for line in said.splitlines()), key=lambda image: image.name)

    async def make(self, source: Source, on_progress: OnProgress, *, again: bool) -> None:
        """Make it by its template, where it is absent or to be made `again`. Raises `ImageNotFound`."""
        if source.template is None:
            raise await self._unknown(source.name)
        on_progress(Progress(message=f"making image {source.name}"))
        arguments = [*self._describe(source, secrets.token_hex(16), f"made by template {source.template}")]
        try:
            await self._host.ask(
                f"make image {source.name}",
                "template",
                "",
                *arguments,
                "yes" if again else "no",
                source.template,
                *source.arguments,
                timeout_seconds=_PATIENT,
            )
        except ImageNotFound as exc:
            raise ImageNotFound(
                f"can't make image {source.name} on node {self._host.node}",
                hint=f"The template {source.template} said: {exc.hint}",
            ) from exc

    async def push(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        source = parse_image(name)
        if source.template is not None:
            raise InvalidInput(f'"{name}" is the name of a template', hint="Push it under another.")
        archive = await examine(file)
        if not await self._is_there(source, archive):
            await self._send(source, archive, on_progress)
        return await self._find(source)

    async def pull(self, name: str, on_progress: OnProgress) -> Image:
        source = parse_image(name)
        if source.template is None:
            raise InvalidInput(
                f'"{name}" says no place to fetch it from', hint="busybox, download:DISTRIBUTION/RELEASE or oci:URL."
            )
        await self.make(source, on_progress, again=True)
        return await self._find(source)

    async def remove(self, name: str) -> None:
        await self._host.ask(
            f"remove image {name}, which an instance needs,", "remove_image", "", parse_image(name).key
        )

    async def _is_there(self, source: Source, archive: ArchiveFile) -> bool:
        try:
            await self._host.ask(f"find image {source.name}", "find_image", "", source.key, archive.digest)
        except ImageNotFound:
            return False
        return True

    async def _send(self, source: Source, archive: ArchiveFile, on_progress: OnProgress) -> None:
        message = f"sending image {source.name}"

        def tell(sent: int) -> None:
            on_progress(Progress(message=message, current=sent, total=archive.size_bytes))

        facts = self._describe(source, archive.digest, archive.path.name)
        process = await self._host.open("push", "", *facts, archive.digest, archive.unpack)
        hearing = asyncio.create_task(_hear(process))
        try:
            async for piece in pieces_of(archive, tell):
                if hearing.done():
                    break  # it has given up: what it said counts
                await process.write(piece)
            await process.write_eof()
            async with asyncio.timeout(_PATIENT):
                result = await hearing
        finally:
            await cancel_and_wait(hearing)
            await process.close()
        self._host.parse(f"push image {source.name}", "", result)

    def _describe(self, source: Source, id: str, description: str) -> tuple[str, ...]:
        """What scripts that make an image are told first."""
        facts = Facts(owner=self._host.owner, made=datetime.now(UTC), description=description)
        return KEEPER, source.key, id, msgspec.json.encode(facts).decode()

    async def _find(self, source: Source) -> Image:
        for image in await self.list():
            if image.name == source.name:
                return image
        raise ImageNotFound(f"image {source.name} was made on node {self._host.node}, and is gone again")

    async def _unknown(self, name: str) -> ImageNotFound:
        known = ", ".join(image.name for image in await self.list()) or "none"
        return ImageNotFound(
            f"node {self._host.node} has no image {name}, and no template of LXC is called so",
            hint=f"It has: {known}. Push one, or use busybox, download:debian/bookworm or oci:docker://alpine.",
        )


def parse_image_line(line: str) -> Image:
    """Read a line of key, id, KiB, and the facts."""
    try:
        key, digest, size, text = line.split(" ", 3)
        facts = msgspec.json.decode(text, type=Facts)
        return Image(
            name=parse_key(key),
            id=digest,
            size_bytes=int(size) * 1024,
            created_at=facts.made,
            description=facts.description,
        )
    except (ValueError, msgspec.DecodeError) as exc:
        raise UnexpectedReply(f"the node doesn't say what an image is: {line!r}") from exc


async def _hear(process: Process) -> CommandResult:
    said = {"stdout": bytearray(), "stderr": bytearray()}
    while (piece := await process.read()) is not None:
        said[piece.channel] += piece.data[: 4096 - len(said[piece.channel])]
    return CommandResult(await process.wait(), bytes(said["stdout"]), bytes(said["stderr"]))
