"""Making one instance: what is there already, the image, what it is to be connected with, the instance.

Interrupted at any point and begun again, it ends as if nothing had happened.
"""

from collections.abc import Mapping
from typing import Any

from vendetta.errors import InstanceNotFound, InvalidInput, NameTaken, Unsupported
from vendetta.models import Instance, InstanceSpec
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import engine_name, spec_hash
from vendetta.providers.lxc import options

from .config import Surroundings, build_body, volumes_of
from .engine import Engine
from .errors import Refused
from .images import Images
from .lookup import Found, Lookup
from .marks import SPEC
from .pools import Pools

_TRIES = 5


class Creation:
    def __init__(
        self,
        engine: Engine,
        lookup: Lookup,
        images: Images,
        pools: Pools,
        *,
        name: str,
        spec: InstanceSpec,
    ) -> None:
        self._engine = engine
        self._lookup = lookup
        self._images = images
        self._pools = pools
        self._name = name
        self._spec = spec
        self._project: str = options.parse(spec).get("project", "default")

    async def run(self, on_progress: OnProgress) -> Instance:
        """Make the instance, or return the one that is there. Raises `NameTaken`, `ImageNotFound`, `OutOfResources`."""
        for _ in range(_TRIES):
            found = await self._lookup.lookup(self._name)
            if found is not None:
                self._check_same(found)
                # the daemon shows it from the first moment: whoever began to make it is to have ended
                async with self._engine.doing(f"create {self._name}"):
                    await self._engine.wait_for_others(found.project, found.engine_name)
            elif not await self._make(on_progress):
                continue  # somebody else was faster, and perhaps is still about it
            made = await self._lookup.lookup(self._name, state=True)
            if made is not None:
                self._check_same(made)
                return made.instance
        raise InstanceNotFound(f"made {self._name} on node {self._engine.node}, yet it is not there")

    async def _make(self, on_progress: OnProgress) -> bool:
        """False where the name was taken meanwhile."""
        source = await self._images.source(self._spec.image, self._project)
        body = build_body(self._name, self._spec, self._lookup.owner, source, await self._look_around())
        async with self._engine.doing(f"create {self._name}"):
            try:
                operation = await self._engine.ask("POST", "instances", params={"project": self._project}, json=body)
                async with self._images.reporting(source, operation, self._spec.image, on_progress):
                    await self._engine.wait(operation)
            except Refused as exc:
                if exc.is_taken or exc.is_busy:
                    await self._engine.wait_for_others(self._project, engine_name(self._name))
                    return False
                raise
        return True

    async def _look_around(self) -> Surroundings:
        """Only what the spec asks for is looked up."""
        wanted = options.parse(self._spec)
        if wanted.get("type") == "vm":
            await self._check_vms()
        root_pool = volume_pool = None
        volumes = volumes_of(self._spec)
        if self._spec.disk_bytes is not None or "pool" in wanted or volumes:
            pool = wanted.get("pool") or await self._pools.of_profiles(wanted.get("profiles"), self._project)
            if self._spec.disk_bytes is not None:
                await self._pools.check_limits(pool)
            root_pool = pool if self._spec.disk_bytes is not None or "pool" in wanted else None
            volume_pool = pool
            for volume in volumes:
                await self._pools.ensure_volume(pool, volume, self._project)
        return Surroundings(
            root_pool=root_pool,
            volume_pool=volume_pool,
            network_is_managed=await self._is_managed(wanted.get("network")),
            can_shift=bool(self._spec.mounts) and await self._can_shift(),
        )

    async def _is_managed(self, network: str | None) -> bool:
        if network is None:
            return True
        async with self._engine.doing(f"look for network {network}"):
            found = await self._engine.find(f"networks/{network}", project=self._project)
        if found is None:
            raise InvalidInput(f"options.network: there is no network or bridge {network} on node {self._engine.node}")
        return bool(found["managed"])

    async def _can_shift(self) -> bool:
        features = (await self._environment()).get("kernel_features") or {}
        return features.get("idmapped_mounts") == "true"

    async def _check_vms(self) -> None:
        if "qemu" not in (await self._environment())["driver"]:
            title = self._engine.dialect.title
            raise Unsupported(
                f"options.type: {title} on node {self._engine.node} runs no virtual machines",
                hint="That takes QEMU and /dev/kvm there, and a daemon made for it. The provider qemu needs neither.",
            )

    async def _environment(self) -> Mapping[str, Any]:
        async with self._engine.doing("ask what the daemon can"):
            said: Mapping[str, Any] = (await self._engine.ask("GET", ""))["environment"]
        return said

    def _check_same(self, found: Found) -> None:
        ours = self._lookup.owns(found, self._name)
        if ours and found.config.get(SPEC) == spec_hash(self._spec):
            return
        whose = "of ours, made from another spec" if ours else "that isn't ours"
        there = f"there is an instance {found.engine_name} {whose}"
        raise NameTaken(
            f"can't create {self._name} on node {self._engine.node}: {there}",
            hint="Remove it, or choose another name.",
        )
