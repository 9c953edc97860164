"""Everything of ours behind a daemon: instances, their snapshots, and the volumes and images that we made."""

from collections.abc import Mapping, Sequence
from typing import Any

from vendetta.models import Belonging

from .engine import Engine
from .errors import Refused
from .images import SHORT
from .lookup import Found, Lookup
from .marks import IMAGE_OWNER, OWNER, WORKSPACE


class Belongings:
    def __init__(self, engine: Engine, lookup: Lookup, owner: str) -> None:
        self._engine = engine
        self._lookup = lookup
        self._owner = owner

    async def list(self) -> Sequence[Belonging]:
        instances = await self._lookup.list(whole=True)
        belongings = [one for found in instances for one in (parse_instance(found), *parse_snapshots(found))]
        async with self._engine.doing("list what is ours"):
            images = await self._engine.ask("GET", "images", params={"recursion": "1"})
            pools = await self._engine.ask("GET", "storage-pools", params={"recursion": "1"})
            for pool in pools or ():
                path = f"storage-pools/{pool['name']}/volumes/custom"
                volumes = await self._engine.ask("GET", path, params={"recursion": "1", "all-projects": "true"})
                belongings += [parse_volume(one, pool["name"]) for one in volumes or () if self._owns(one["config"])]
        belongings += [
            parse_image(image)
            for image in images or ()
            if (image.get("properties") or {}).get(IMAGE_OWNER) == self._owner
        ]
        return belongings

    async def remove(self, belonging: Belonging) -> None:
        """Remove it, looked up again among ours. What has gone, or never was ours, is left alone."""
        if not any((one.kind, one.id) == (belonging.kind, belonging.id) for one in await self.list()):
            return
        path, _, project = belonging.id.partition("?project=")
        params = {"project": project} if project else {}
        async with self._engine.doing(f"remove {belonging.kind} {belonging.name}"):
            try:
                if belonging.kind == "instance":
                    await self._stop(path, params)
                if belonging.kind == "volume":
                    await self._engine.ask("DELETE", path, params=params)
                else:
                    await self._engine.change("DELETE", path, params=params)
            except Refused as exc:
                if exc.status != 404:
                    raise

    async def _stop(self, path: str, params: Mapping[str, str]) -> None:
        said = await self._engine.find(path, **params)
        if said is not None and said["status"] != "Stopped":
            await self._engine.change("PUT", f"{path}/state", params=params, json={"action": "stop", "force": True})

    def _owns(self, config: Mapping[str, str]) -> bool:
        return config.get(OWNER) == self._owner


def parse_instance(found: Found) -> Belonging:
    """Read an instance; its `id` is its path in the API, which names its project too."""
    path = f"{found.path}?project={found.project}"
    return Belonging(kind="instance", id=path, name=found.engine_name, workspace=found.config[WORKSPACE])


def parse_snapshots(found: Found) -> Sequence[Belonging]:
    names = [str(snapshot["name"]).rpartition("/")[2] for snapshot in found.said.get("snapshots") or ()]
    return [
        Belonging(
            kind="snapshot",
            id=f"{found.path}/snapshots/{name}?project={found.project}",
            name=name,
            workspace=found.config[WORKSPACE],
        )
        for name in names
    ]


def parse_volume(said: Mapping[str, Any], pool: str) -> Belonging:
    path = f"storage-pools/{pool}/volumes/custom/{said['name']}?project={said.get('project') or 'default'}"
    return Belonging(kind="volume", id=path, name=said["name"])


def parse_image(said: Mapping[str, Any]) -> Belonging:
    names = [alias["name"] for alias in said.get("aliases") or ()]
    fingerprint = said["fingerprint"]
    return Belonging(
        kind="image",
        id=f"images/{fingerprint}",
        name=next(iter(names), fingerprint[:SHORT]),
        size_bytes=said["size"],
    )
