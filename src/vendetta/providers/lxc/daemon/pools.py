"""Storage pools: the one that an instance's disk is in, whether it can limit a disk, and volumes in it."""

from collections.abc import Sequence

from vendetta.errors import InvalidInput, Unsupported

from .engine import Engine
from .errors import Refused
from .lookup import Found
from .marks import OWNER
from .stats import parse_amount

LIMITING = ("btrfs", "lvm", "zfs")
"""Drivers of pools that limit a disk."""

UNLIMITED = "dir"
"""Plain folders: a limit would be taken, and passed over without a word."""


class Pools:
    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def of_profiles(self, profiles: Sequence[str] | None, project: str) -> str:
        """Return the pool that these profiles (None: `default`) put the disk in.

        Raises `InvalidInput` where they name none.
        """
        for profile in reversed(profiles or ["default"]):
            async with self._engine.doing(f"look for profile {profile}"):
                found = await self._engine.find(f"profiles/{profile}", project=project)
            if found is None:
                raise InvalidInput(f"options.profiles: there is no profile {profile} on node {self._engine.node}")
            for device in found["devices"].values():
                if device["type"] == "disk" and device.get("path") == "/":
                    return str(device["pool"])
        raise InvalidInput(
            f"options.pool: no profile says where a disk goes on node {self._engine.node}",
            hint=f"Name a storage pool: `{self._engine.dialect.program} storage list` shows them.",
        )

    async def check_limits(self, pool: str) -> None:
        """Raise `InvalidInput` where there is no such pool, `Unsupported` where it can't limit a disk."""
        async with self._engine.doing(f"look for storage pool {pool}"):
            found = await self._engine.find(f"storage-pools/{pool}")
        if found is None:
            raise InvalidInput(f"options.pool: there is no storage pool {pool} on node {self._engine.node}")
        if found["driver"] == UNLIMITED:
            raise Unsupported(
                f'disk: the storage pool "{pool}" on node {self._engine.node} is of plain folders, without limits',
                hint=f"Leave the disk out, or name a pool of {', '.join(LIMITING)} by the option pool.",
            )

    async def ensure_volume(self, pool: str, volume: str, project: str) -> None:
        """Make the volume if there is none of the name; one that we make is marked as ours."""
        path = f"storage-pools/{pool}/volumes/custom"
        async with self._engine.doing(f"make volume {volume}"):
            if await self._engine.find(f"{path}/{volume}", project=project) is not None:
                return
            try:
                await self._engine.ask(
                    "POST",
                    path,
                    params={"project": project},
                    json={"name": volume, "type": "custom", "config": {OWNER: self._owner}},
                )
            except Refused as exc:
                if not exc.is_taken:
                    raise

    async def resize(self, found: Found, name: str, size_bytes: int) -> None:
        """Enlarge its disk.

        Raises `InvalidInput` for less than it has, `Unsupported` where the pool can't limit a disk.
        """
        root = next((key for key, one in found.said["expanded_devices"].items() if one.get("path") == "/"), "root")
        device = found.said["expanded_devices"].get(root, {})
        await self.check_limits(device.get("pool", "default"))
        has = parse_amount(device.get("size"))
        if has is not None and size_bytes < has:
            raise InvalidInput(f"{name} has a disk of {has} bytes already", hint="A disk only grows.")
        if has != size_bytes:
            devices = {**found.said["devices"], root: {**device, "size": f"{size_bytes}B"}}
            async with self._engine.doing(f"resize the disk of {name}"):
                await self._engine.ask("PATCH", found.path, params=found.params, json={"devices": devices})
