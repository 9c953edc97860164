"""Everything of ours on an engine: containers, the snapshots committed from them, and volumes made for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiodocker import DockerError

from vendetta.models import Belonging

from .engine import Engine
from .labels import OWNER, SNAPSHOT, WORKSPACE
from .snapshots import Snapshots, delete_image


class Belongings:
    def __init__(self, engine: Engine, snapshots: Snapshots, owner: str) -> None:
        self._engine = engine
        self._snapshots = snapshots
        self._filters = msgspec.json.encode({"label": [f"{OWNER}={owner}"]}).decode()

    async def list(self) -> Sequence[Belonging]:
        containers = await self._ask("containers/json", all="1")
        volumes = (await self._ask("volumes"))["Volumes"] or []
        return [
            *(parse_container(container) for container in containers),
            *(parse_snapshot(image) for image in await self._snapshots.images()),
            *(parse_volume(volume) for volume in volumes),
        ]

    async def remove(self, belonging: Belonging) -> None:
        """Looked up again among ours: what isn't there any more, or never was ours, is left alone."""
        if not any((one.kind, one.id) == (belonging.kind, belonging.id) for one in await self.list()):
            return
        if belonging.kind == "snapshot":
            await delete_image(self._engine, belonging.id)
            return
        async with self._engine.doing(f"remove {belonging.kind} {belonging.name}") as docker:
            try:
                if belonging.kind == "instance":
                    await docker.containers.container(belonging.id).delete(force=True, v=True)
                else:
                    async with self._engine.stream("DELETE", f"volumes/{belonging.id}") as response:
                        await response.read()
            except DockerError as exc:
                if exc.status != 404:
                    raise

    async def _ask(self, path: str, **params: str) -> Any:
        async with (
            self._engine.doing("list what is ours"),
            self._engine.stream("GET", path, params={**params, "filters": self._filters}) as response,
        ):
            return msgspec.json.decode(await response.read())


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
