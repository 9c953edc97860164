"""Everything of ours on an engine: containers, the snapshots committed from them, and volumes made for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vendetta.models import Belonging

from .containers import Containers
from .engine import Engine
from .labels import OWNER, SNAPSHOT, WORKSPACE
from .snapshots import Snapshots, delete_image
from .volumes import list_volumes, remove_volume


class Belongings:
    def __init__(self, engine: Engine, containers: Containers, snapshots: Snapshots, owner: str) -> None:
        self._engine = engine
        self._containers = containers
        self._owner = owner
        self._snapshots = snapshots
        self._filters = msgspec.json.encode({"label": [f"{OWNER}={owner}"]}).decode()

    async def list(self) -> Sequence[Belonging]:
        async with (
            self._engine.doing("list what is ours"),
            self._engine.stream("GET", "containers/json", params={"all": "1", "filters": self._filters}) as response,
        ):
            containers = msgspec.json.decode(await response.read(), type=list[dict[str, Any]])
        volumes = await list_volumes(self._engine, self._owner)
        return [
            *(parse_container(container) for container in containers),
            *(parse_snapshot(image) for image in await self._snapshots.images()),
            *(parse_volume(volume) for volume in volumes),
        ]

    async def remove(self, belonging: Belonging) -> None:
        """Remove it, looked up again among ours. What has gone, or never was ours, is left alone."""
        if not any((one.kind, one.id) == (belonging.kind, belonging.id) for one in await self.list()):
            return
        if belonging.kind == "instance":
            await self._containers.delete(belonging.id, f"remove {belonging.name}", force=True)
        elif belonging.kind == "snapshot":
            await delete_image(self._engine, belonging.id)
        else:
            await remove_volume(self._engine, belonging.id)


def parse_container(summary: Mapping[str, Any]) -> Belonging:
    workspace = summary["Labels"].get(WORKSPACE)
    return Belonging(kind="instance", id=summary["Id"], name=summary["Names"][0].lstrip("/"), workspace=workspace)


def parse_snapshot(image: Mapping[str, Any]) -> Belonging:
    labels = image["Labels"]
    return Belonging(
        kind="snapshot",
        id=image["Id"],
        name=labels[SNAPSHOT],
        workspace=labels[WORKSPACE],
        size_bytes=image["Size"],
    )


def parse_volume(volume: Mapping[str, Any]) -> Belonging:
    return Belonging(
        kind="volume", id=volume["Name"], name=volume["Name"], workspace=(volume["Labels"] or {}).get(WORKSPACE)
    )
