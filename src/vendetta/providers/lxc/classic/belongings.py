"""Everything of ours that is on a node: instances, their snapshots, and the images that were pushed or made for us."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from vendetta.errors import InstanceNotFound
from vendetta.models import Belonging
from vendetta.providers.identity import ENGINE_PREFIX

from .host import Host
from .images import Images
from .names import parse_key
from .snapshots import Snapshots


class Belongings:
    def __init__(self, host: Host, images: Images, snapshots: Snapshots) -> None:
        self._host = host
        self._images = images
        self._snapshots = snapshots

    async def list(self) -> Sequence[Belonging]:
        return list(parse_belongings(await self._host.ask("list what is ours", "belongings")))

    async def remove(self, belonging: Belonging) -> None:
        """Remove it, looked up again among ours. What has gone, or never was ours, is left alone."""
        for one in await self.list():
            if (one.kind, one.id) == (belonging.kind, belonging.id):
                await self._remove(one)

    async def _remove(self, one: Belonging) -> None:
        if one.kind == "image":
            await self._images.remove(one.name)
        elif one.workspace is not None:
            with suppress(InstanceNotFound):
                if one.kind == "instance":
                    await self._host.ask(f"remove {one.workspace}", "remove", one.workspace, "yes")
                else:
                    await self._snapshots.remove(one.workspace, one.name)


def parse_belongings(said: str) -> Iterator[Belonging]:
    """Read the lines of belongings.sh."""
    for line in said.splitlines():
        match line.split(" "):
            case ["instance", engines]:
                name = engines.removeprefix(ENGINE_PREFIX)
                yield Belonging(kind="instance", id=engines, name=engines, workspace=name)
            case ["snapshot", engines, snapshot, size]:
                yield Belonging(
                    kind="snapshot",
                    id=f"{engines}/{snapshot}",
                    name=snapshot,
                    workspace=engines.removeprefix(ENGINE_PREFIX),
                    size_bytes=int(size) * 1024,
                )
            case ["image", key, size]:
                yield Belonging(kind="image", id=key, name=parse_key(key), size_bytes=int(size) * 1024)
