"""Everything of ours on a node: VMs with all that is in their folders, and the images that we brought."""

from collections.abc import Sequence

import msgspec

from vendetta.errors import UnexpectedReply
from vendetta.models import Belonging

from .images import Images
from .records import Record
from .scripts import VMS, Scripts


class Belongings:
    def __init__(self, scripts: Scripts, images: Images, owner: str) -> None:
        self._scripts = scripts
        self._images = images
        self._owner = owner

    async def list(self) -> Sequence[Belonging]:
        output = await self._scripts.run("list what is ours", VMS, "belongings", self._owner)
        images = [
            Belonging(kind="image", id=image.name, name=image.name, size_bytes=image.size_bytes)
            for image in await self._images.list(ours=True)
        ]
        return [*parse_belongings(output), *images]

    async def remove(self, belonging: Belonging) -> None:
        """Remove it, looked up again among ours. What has gone, or never was ours, is left alone."""
        for one in await self.list():
            if (one.kind, one.id) != (belonging.kind, belonging.id):
                continue
            if one.kind == "image":
                await self._images.remove(one.name)
            elif one.workspace:
                await self._scripts.run(f"remove {one.name}", VMS, "remove", self._owner, one.workspace, "yes")


def parse_belongings(output: bytes) -> list[Belonging]:
    """Read the script's pairs of lines: KiB, record. Raises `UnexpectedReply`."""
    lines = output.decode(errors="replace").splitlines()
    try:
        return [
            _parse_one(int(lines[start]), msgspec.json.decode(lines[start + 1], type=Record))
            for start in range(0, len(lines), 2)
        ]
    except (ValueError, IndexError, msgspec.DecodeError) as exc:
        raise UnexpectedReply("what is ours on the node can't be understood") from exc


def _parse_one(kibibytes: int, record: Record) -> Belonging:
    return Belonging(
        kind="instance", id=record.id, name=record.name, workspace=record.name, size_bytes=kibibytes * 1024
    )
