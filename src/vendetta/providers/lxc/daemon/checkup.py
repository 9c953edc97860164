"""What is the matter with a daemon, and the command that mends it."""

from collections.abc import Mapping, Sequence
from typing import Any

from vendetta.errors import EngineForbidden, EngineUnavailable, LinkError, VendettaError
from vendetta.models import Check

from .dialects import Dialect
from .engine import BRIEF, Engine
from .pools import UNLIMITED
from .probe import name_version

LITTLE_BYTES, NO_BYTES = 2 * 2**30, 256 * 2**20
MIB = 2**20


async def examine(engine: Engine) -> list[Check]:
    """Implement `Checkup.checks`."""
    try:
        async with engine.doing("examine lxc"):
            server = await engine.ask("GET", "", timeout=BRIEF)
            profile = await engine.find("profiles/default")
            pool = root_pool_of(profile)
            resources = await engine.find(f"storage-pools/{pool}/resources") if pool else None
            storage = await engine.find(f"storage-pools/{pool}") if pool else None
    except LinkError:
        raise
    except VendettaError as exc:
        return [check_refusal(exc, engine.dialect)]
    usable = Check(name="lxc", state="ok", detail=f"{engine.socket_path}, open to the login user")
    version = Check(name="lxc-version", state="ok", detail=name_version(server))
    return [usable, version, check_storage(storage, resources, engine.dialect), check_network(profile, engine.dialect)]


def check_refusal(error: VendettaError, dialect: Dialect) -> Check:
    if isinstance(error, EngineForbidden):
        group = error.details.get("group", dialect.group)
        mend = f"sudo usermod -aG {group} {error.details.get('user', '$USER')}"
        return Check(name="lxc", state="failure", detail=error.message, mend=mend)
    if isinstance(error, EngineUnavailable) and error.details.get("found") == "absent":
        return Check(name="lxc", state="skipped", detail=error.message, mend=dialect.install)
    return Check(name="lxc", state="failure", detail=error.message, mend=dialect.start)


def root_pool_of(profile: Mapping[str, Any] | None) -> str | None:
    """Return the pool where the profile puts an instance's disk."""
    for device in _devices(profile):
        if device["type"] == "disk" and device.get("path") == "/":
            return str(device["pool"])
    return None


def check_storage(pool: Mapping[str, Any] | None, resources: Mapping[str, Any] | None, dialect: Dialect) -> Check:
    if pool is None:
        nowhere = "the profile default has no disk: an instance can't be made without an option `pool`"
        return Check(name="lxc-storage", state="failure", detail=nowhere, mend=dialect.initialise)
    detail = f'pool "{pool["name"]}" ({pool["driver"]})'
    space = (resources or {}).get("space") or {}
    if space.get("total"):
        free = space["total"] - space.get("used", 0)
        detail = f"{detail}, {free // MIB} MiB free"
        if free < LITTLE_BYTES:
            return Check(name="lxc-storage", state="failure" if free < NO_BYTES else "warning", detail=detail)
    if pool["driver"] == UNLIMITED:
        detail += "; of plain folders: disks have no limit, and an image is copied whole"
    return Check(name="lxc-storage", state="ok", detail=detail)


def check_network(profile: Mapping[str, Any] | None, dialect: Dialect) -> Check:
    for device in _devices(profile):
        if device["type"] == "nic":
            where = device.get("network") or device.get("parent") or device.get("nictype", "")
            return Check(name="lxc-network", state="ok", detail=f"instances are on {where}")
    alone = "the profile default has no network: instances have no address"
    return Check(name="lxc-network", state="warning", detail=alone, mend=dialect.initialise)


def _devices(profile: Mapping[str, Any] | None) -> Sequence[Mapping[str, str]]:
    return list((profile or {}).get("devices", {}).values())
