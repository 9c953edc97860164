"""From a spec to the body of a create request of the Engine API. Pure: no I/O here."""

import re
from collections.abc import Mapping
from typing import Any

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.options import check_fields

from .keeper import build_kept, needs_first_place
from .labels import PREFIX, build_labels, build_volume_labels
from .options import apply_options, check_options
from .references import check_reference

LACKS = {"disk": "Docker can't limit the disk of a container; a volume of that size can be mounted"}

_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")


def check_spec(spec: InstanceSpec) -> None:
    """Raise `InvalidInput` for what Docker can't take."""
    check_reference(spec.image)
    check_fields(LACKS, spec)
    check_options(spec.options)
    for label in spec.labels:
        if label.startswith(PREFIX):
            raise InvalidInput(f"labels.{label}: labels that begin with {PREFIX} are Vendetta's own")
    for mount in spec.mounts:
        if not mount.source.startswith("/") and not _VOLUME.fullmatch(mount.source):
            raise InvalidInput(
                f'mounts: source "{mount.source}" is neither an absolute path nor the name of a volume',
                hint="A volume's name has letters, digits, dots, hyphens and underscores.",
            )


def build_config(name: str, spec: InstanceSpec, owner: str, own: "OwnCommand | None") -> dict[str, Any]:
    """Build the body of a create request.

    `own` is the argv of the image, for a spec without a command: it is kept up by us. None: the image's, as it is.
    """
    config: dict[str, Any] = {
        "Image": spec.image,
        "Hostname": name,
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "Labels": build_labels(name, spec, owner),
        "HostConfig": build_host_config(name, spec, owner),
    }
    apply_options(config, spec.options)
    # A terminal without an open stdin ends a shell at once.
    config["OpenStdin"] = bool(config.get("Tty"))
    if spec.command is not None:
        # An entrypoint without Cmd runs as it is, past the image's own.
        config.update(_run(config.get("Entrypoint", []), spec.command))
    elif own is not None and own.keep:
        config["Entrypoint"] = build_kept(own.argv, own.stop_signal)
        config["StopSignal"] = "SIGTERM"
    return config


def build_host_config(name: str, spec: InstanceSpec, owner: str) -> dict[str, Any]:
    marks = build_volume_labels(name, owner, keep=spec.options.get("volumes") != "remove")
    limits: dict[str, Any] = {"Mounts": [build_mount(mount, marks) for mount in spec.mounts]}
    if spec.cpus is not None:
        limits["NanoCpus"] = round(spec.cpus * 1e9)
    if spec.memory_bytes is not None:
        # The same for memory and swap together: no swap, or the limit would be twice what was asked for.
        limits["Memory"] = limits["MemorySwap"] = spec.memory_bytes
    if spec.pids is not None:
        limits["PidsLimit"] = spec.pids
    return limits


def build_mount(mount: Mount, marks: Mapping[str, str]) -> dict[str, Any]:
    """Build an entry of `HostConfig.Mounts`.

    `marks` are the labels of a volume that is made for it; one that is there stays whose it was.
    """
    place = {"Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.source.startswith("/"):
        return {"Type": "bind", **place}
    return {"Type": "volume", **place, "VolumeOptions": {"Labels": dict(marks)}}


class OwnCommand:
    """What an image runs by itself, from what the engine says of it (`GET /images/{name}/json`)."""

    def __init__(self, image: Mapping[str, Any], spec: InstanceSpec) -> None:
        defaults = image.get("Config") or {}
        chosen: dict[str, Any] = {}
        apply_options(chosen, spec.options)
        # As docker does it: another entrypoint drops the image's Cmd too.
        self.argv: list[str] = chosen.get("Entrypoint") or [
            *(defaults.get("Entrypoint") or []),
            *(defaults.get("Cmd") or []),
        ]
        self.stop_signal: str | None = defaults.get("StopSignal")
        self.keep = not needs_first_place(self.argv)


def _run(entrypoint: list[str], command: list[str]) -> dict[str, list[str]]:
    return {"Entrypoint": entrypoint, "Cmd": command} if entrypoint else {"Entrypoint": command}
