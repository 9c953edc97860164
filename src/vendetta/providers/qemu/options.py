"""The options that QEMU workspaces take, and what else a spec may say of a VM. Pure: no I/O here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec
from vendetta.providers.options import Rule, Rules, boolean, check_fields, choice, matching, parse_options, text, whole

from .cloud_init import parse_type

ARCHITECTURES = ("x86_64", "aarch64", "riscv64")
NO_IMAGE = "none"
MIB = 2**20
DEFAULT_MEMORY_BYTES = 1024 * MIB
LEAST_MEMORY_BYTES = 16 * MIB
DEFAULT_USER = "vendetta"
MOST_DISKS = 8

_IMAGE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_NAME = re.compile(_IMAGE_NAME, re.ASCII)
_PATH = re.compile(r"/[^\x00-\x1f\x7f]+")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f\"']+", re.ASCII)
_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"([0-9]{1,15})([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)


def sizes(description: str) -> Rule:
    def parse(text: str) -> list[int]:
        found = [_SIZE.fullmatch(part.strip()) for part in text.split(",")]
        parsed = [int(match[1]) * _UNITS[match[2].lower()] for match in found if match]
        if len(parsed) != len(found) or not all(parsed) or len(parsed) > MOST_DISKS:
            raise ValueError(f"must be 1 to {MOST_DISKS} sizes with commas between them, such as 10G,500M")
        return parsed

    return Rule(description, parse, "sizes")


def user_data(description: str) -> Rule:
    def parse(text: str) -> str:
        if not text.startswith("/"):
            parse_type(text)
        return text

    return Rule(description, parse, "text")


_KERNEL = rf"(?:/[ -~]+|{_IMAGE_NAME})"

RULES: Rules = {
    "accel": choice("how it is run: by KVM, emulated, or by KVM where that works", "auto", "kvm", "tcg"),
    "append": text("the kernel's command line, with `kernel`"),
    "arch": choice("the processor it has; without it the node's", *ARCHITECTURES),
    "autostart": boolean("it is started again after the node was restarted"),
    "boot_timeout": whole("seconds that it may take until it is reached by SSH", 1, 3600),
    "cpu": matching("the model of its processor, as qemu names it", r"[A-Za-z0-9][A-Za-z0-9_.,=+-]*", "a CPU model"),
    "disks": sizes("further disks, empty, by their sizes: 10G,500M"),
    "firmware": choice("what starts it", "bios", "uefi"),
    "initrd": matching(
        "its initial RAM disk, with `kernel`: a path on the node, or an image", _KERNEL, "a path or name"
    ),
    "kernel": matching("the kernel to boot: a path on the node, or an image", _KERNEL, "a path or name"),
    "machine": matching("the machine, as qemu names it, such as q35", r"[a-z0-9][a-z0-9_.,=-]*", "a machine type"),
    "sha256": matching("what an image from an address must have", r"[0-9a-f]{64}", "64 hexadecimal digits"),
    "ssh": boolean("whether it is reached by SSH, and ready once it is"),
    "user": matching("the user that is made in it, and that we log in as", r"[a-z_][a-z0-9_-]{0,31}", "a user's name"),
    "user_data": user_data("cloud-init user data of your own, or its path on the node"),
}

LACKS: Mapping[str, str] = {
    "command": "a VM runs what its image starts; use exec, or options.user_data",
    "mounts": "a VM can't use the node's folders",
    "pids": "the processes of a VM are its own kernel's affair",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """A spec's options, parsed. `user` is None where nobody logs in."""

    accel: str = "auto"
    append: str | None = None
    arch: str | None = None
    autostart: bool = False
    boot_timeout: int | None = None
    cpu: str | None = None
    disks: tuple[int, ...] = ()
    firmware: str = "bios"
    initrd: str | None = None
    kernel: str | None = None
    machine: str | None = None
    sha256: str | None = None
    user: str | None = DEFAULT_USER
    user_data: str | None = None


def parse_choices(options: Mapping[str, str]) -> Choices:
    """Read the options. Raises `InvalidInput`."""
    parsed = parse_options("qemu", RULES, options)
    if not parsed.pop("ssh", True):
        parsed["user"] = None
    parsed["disks"] = tuple(parsed.get("disks", ()))
    return Choices(**parsed)


def check_spec(spec: InstanceSpec) -> Choices:
    """Raise `InvalidInput` for what a VM can't be."""
    choices = parse_choices(spec.options)
    check_fields(LACKS, spec)
    check_image(spec.image)
    if spec.cpus is not None and (spec.cpus < 1 or spec.cpus != int(spec.cpus)):
        raise InvalidInput(f"cpus: {spec.cpus:g}: a VM has whole processors", hint="1 or more.")
    if spec.memory_bytes is not None and spec.memory_bytes < LEAST_MEMORY_BYTES:
        raise InvalidInput(f"memory: {spec.memory_bytes} bytes are too few for a VM", hint="16 MiB or more.")
    if choices.sha256 is not None and (spec.image == NO_IMAGE or spec.image.startswith("/")):
        raise InvalidInput("options.sha256: it is for images that are fetched or pushed")
    if spec.image == NO_IMAGE and choices.kernel is None:
        raise InvalidInput("image: none: it would have nothing to boot", hint="Say options.kernel too.")
    for name in ("append", "initrd"):
        if getattr(choices, name) is not None and choices.kernel is None:
            raise InvalidInput(f"options.{name}: it goes with options.kernel, which isn't there")
    if choices.firmware == "bios" and choices.arch == "aarch64" and choices.kernel is None:
        raise InvalidInput("options.firmware: aarch64 has no BIOS", hint="Say options.firmware=uefi.")
    return choices


def check_image(image: str) -> None:
    """Raise `InvalidInput` for what is no image. `none` is no disk, or an empty one."""
    if not (_NAME.fullmatch(image) or _PATH.fullmatch(image) or _URL.fullmatch(image)):
        raise InvalidInput(
            f'"{image}" is not an image',
            hint="The name of one that was pushed, a path on the node, an http(s) address, or none.",
        )


def check_image_name(name: str) -> None:
    """Raise `InvalidInput` for what can't be the name of one that is pushed."""
    if not _NAME.fullmatch(name) or name == NO_IMAGE:
        raise InvalidInput(f'"{name}" is not the name of an image', hint="Letters, digits, dots, hyphens, underscores.")


def is_address(image: str) -> bool:
    return image.startswith(("http://", "https://"))
