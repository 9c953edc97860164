"""From a spec to the body of a create request of the API. Pure: no I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.identity import engine_name
from vendetta.providers.lxc import options

from .marks import build_marks

CPU_PERIOD_MILLISECONDS = 100

_FLAGS: Mapping[str, str] = {
    "autostart": "boot.autostart",
    "nesting": "security.nesting",
    "privileged": "security.privileged",
}
"""Options that are a key of the configuration."""

_CONTAINERS_ONLY = ("nesting", "privileged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the node has for an instance: looked up for what the spec asks.

    `root_pool` has its disk, where that isn't left to the profile; `volume_pool` the volumes that it mounts. `network`
    is managed by the daemon or else a bridge of the node's. `can_shift`: a folder of the node's can have its owners
    shown as the container's.
    """

    root_pool: str | None = None
    volume_pool: str | None = None
    network_is_managed: bool = True
    can_shift: bool = False


def check_spec(spec: InstanceSpec) -> None:
    """Raise `InvalidInput` for what Incus and LXD can't take."""
    options.check_spec(spec)
    wanted = options.parse(spec)
    if wanted.get("type") == "vm":
        for name in _CONTAINERS_ONLY:
            if wanted.get(name):
                raise InvalidInput(f"options.{name}: only a container can be, not a virtual machine")
        if spec.cpus is not None and not float(spec.cpus).is_integer():
            raise InvalidInput("cpus: a virtual machine has whole ones", hint="For example 1 or 2.")
        if spec.pids is not None:
            raise InvalidInput("pids: only a container's processes can be limited", hint="Leave it out.")
    for key in ("\n", "\r"):
        if any(key in variable for variable in spec.env):
            raise InvalidInput("env: the name of a variable is one line")


def build_body(
    name: str, spec: InstanceSpec, owner: str, source: Mapping[str, Any], around: Surroundings
) -> dict[str, Any]:
    """Build the body of a create request. `source` says where the image is from."""
    wanted = options.parse(spec)
    body: dict[str, Any] = {
        "name": engine_name(name),
        "type": "virtual-machine" if wanted.get("type") == "vm" else "container",
        "source": {"type": "image", **source},
        "config": {**build_config(name, spec), **build_marks(name, spec, owner)},
        "devices": build_devices(spec, around),
    }
    if "profiles" in wanted:
        body["profiles"] = wanted["profiles"]
    return body


def build_config(name: str, spec: InstanceSpec) -> dict[str, str]:
    wanted = options.parse(spec)
    config = {key: str(wanted[flag]).lower() for flag, key in _FLAGS.items() if flag in wanted}
    if wanted.get("type") != "vm":
        config["raw.lxc"] = f"lxc.uts.name={name}"  # the daemon's own name for it is the host's name otherwise
    config.update((f"environment.{variable}", value) for variable, value in spec.env.items())
    if spec.memory_bytes is not None:
        config["limits.memory"] = f"{spec.memory_bytes}B"
        if wanted.get("type") != "vm":
            config["limits.memory.swap"] = "false"  # or it could use more than was asked for, on the disk
    if spec.pids is not None:
        config["limits.processes"] = str(spec.pids)
    if spec.cpus is not None:
        config.update(build_cpus(spec.cpus))
    return config


def build_cpus(cpus: float) -> dict[str, str]:
    """Build its limits: whole ones are seen as such inside; a fraction is a share of the time on any of them."""
    if float(cpus).is_integer():
        return {"limits.cpu": str(int(cpus))}
    share = max(1, round(cpus * CPU_PERIOD_MILLISECONDS))
    return {"limits.cpu.allowance": f"{share}ms/{CPU_PERIOD_MILLISECONDS}ms"}


def build_devices(spec: InstanceSpec, around: Surroundings) -> dict[str, dict[str, str]]:
    wanted = options.parse(spec)
    devices: dict[str, dict[str, str]] = {}
    if around.root_pool is not None:
        size = {} if spec.disk_bytes is None else {"size": f"{spec.disk_bytes}B"}
        devices["root"] = {"type": "disk", "path": "/", "pool": around.root_pool, **size}
    if (network := wanted.get("network")) is not None:
        where = {"network": network} if around.network_is_managed else {"nictype": "bridged", "parent": network}
        devices["eth0"] = {"type": "nic", "name": "eth0", **where}
    shifts = around.can_shift and not wanted.get("privileged") and wanted.get("type") != "vm"
    for number, mount in enumerate(spec.mounts):
        devices[f"mount{number}"] = build_mount(mount, around.volume_pool, shifts=shifts)
    return devices


def build_mount(mount: Mount, volume_pool: str | None, *, shifts: bool) -> dict[str, str]:
    device = {"type": "disk", "source": mount.source, "path": mount.target}
    if mount.read_only:
        device["readonly"] = "true"
    if not mount.source.startswith("/"):
        device["pool"] = volume_pool or "default"
    elif shifts:
        device["shift"] = "true"
    return device


def volumes_of(spec: InstanceSpec) -> list[str]:
    return sorted({mount.source for mount in spec.mounts if not mount.source.startswith("/")})
