"""Making one container: what is there already, the image, the container, and whether it can be kept up.

Interrupted at any point and begun again, it ends as if nothing had happened.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from vendetta.errors import Busy, NameTaken
from vendetta.models import Instance, InstanceSpec
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import engine_name, spec_hash

from .config import OwnCommand, build_config
from .containers import Container, Containers
from .engine import Engine
from .errors import Refused
from .ignored_options import check_ignored, parse_warnings
from .images import Images
from .instances import parse_container
from .keeper import SHELL, is_kept
from .labels import IMAGE, SPEC, image_of
from .podman import is_taken

CONFLICT_TRIES, CONFLICT_SECONDS = 100, 0.05


Shells = set[tuple[str, frozenset[str]]]
"""Images, by id, that have a shell even with something mounted at those paths: an image never changes."""


class Creation:
    def __init__(
        self,
        engine: Engine,
        containers: Containers,
        images: Images,
        shells: Shells,
        *,
        name: str,
        spec: InstanceSpec,
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._images = images
        self._shells = shells
        self.name = name
        self._spec = spec

    async def run(self, on_progress: OnProgress) -> Instance:
        """Make it, or return the one that is there. Raises `NameTaken`, `ImageNotFound`, `OutOfResources`."""
        container = await self._containers.lookup(self.name)
        if container is None:
            await check_ignored(self._engine, self._spec)
            image = await self._images.ensure(self._spec.image, on_progress, self._spec.options.get("platform"))
            own = OwnCommand(image, self._spec) if self._spec.command is None else None
            container = await self._make(build_config(self.name, self._spec, self._containers.owner, own))
        self._check_same(container)
        if await self._lacks_shell(container):
            await self._discard(container)
            container = await self._make(build_config(self.name, self._spec, self._containers.owner, None))
            self._check_same(container)
        return parse_container(container)

    async def make_again(self, config: Mapping[str, Any], image: str, labels: Mapping[str, str]) -> Container:
        """Make a container with a configuration that another has (`GET /containers/{id}/json`), from another image.

        What it may use of the node is as the spec says. Where one was made meanwhile under its name, that is returned.
        """
        await check_ignored(self._engine, self._spec)
        limits = build_config(self.name, self._spec, self._containers.owner, None)["HostConfig"]
        merged = {**config["Labels"], IMAGE: image_of(config["Labels"], config["Image"]), **labels}
        return await self._make({**config, "Image": image, "Labels": merged, "HostConfig": limits})

    async def _make(self, config: dict[str, Any]) -> Container:
        """Return the container made, or the one that another request made under this name in the meantime."""
        params = {"name": engine_name(self.name)}
        if platform := self._spec.options.get("platform"):
            params["platform"] = platform
        for _ in range(CONFLICT_TRIES):
            async with self._engine.doing(f"create {self.name}"):
                try:
                    created = await self._engine.ask("POST", "containers/create", params=params, json=config)
                    if (unheeded := parse_warnings(created.get("Warnings") or [], self._spec)) is not None:
                        await self._containers.delete(created["Id"], f"create {self.name}")
                        raise unheeded
                    made: Container = await self._engine.ask("GET", f"containers/{created['Id']}/json")
                    return made
                except Refused as exc:
                    if not is_taken(exc):
                        raise
            if (existing := await self._containers.lookup(self.name)) is not None:
                return existing
            # The engine keeps a name for a container that is being made or removed, and shows it only when it is done.
            await asyncio.sleep(CONFLICT_SECONDS)
        raise Busy(f"can't create {self.name} on node {self._engine.node}: its name is being made or removed")

    def _check_same(self, container: Container) -> None:
        ours = self._containers.owns(container, self.name)
        if ours and container["Config"]["Labels"].get(SPEC) == spec_hash(self._spec):
            return
        whose = "of ours, made from another spec" if ours else "that isn't ours"
        there = f"there is a container {engine_name(self.name)} {whose}"
        raise NameTaken(
            f"can't create {self.name} on node {self._engine.node}: {there}",
            hint="Remove it, or choose another name.",
        )

    async def _lacks_shell(self, container: Container) -> bool:
        """True for one never started whose image has no shell to be kept up with: it is to run its own command."""
        if container["State"]["Status"] != "created" or not is_kept(container["Config"]["Entrypoint"]):
            return False
        seen = (container["Image"], frozenset(mount.target for mount in self._spec.mounts))
        if seen in self._shells:
            return False
        path = f"containers/{container['Id']}/archive"  # the engine mounts it for that, which takes its time
        async with self._engine.doing(f"look into {self.name}"):
            try:
                async with self._engine.stream("HEAD", path, params={"path": SHELL}):
                    self._shells.add(seen)
                    return False
            except Refused as exc:
                if exc.status != 404:
                    raise
                return True

    async def _discard(self, container: Container) -> None:
        await self._containers.delete(container["Id"], f"create {self.name}")
