"""From a spec to the configuration of a container. Pure: no I/O here.

Each line begins with what it is for: `-` every node, `1` and `2` those with cgroups of that version, `s` and `S` the
same where swap is counted. create.sh takes those that its node needs, and adds what only a node knows: the image's own
configuration, the disk, the network.
"""

from collections.abc import Iterator
from typing import Any

from vendetta.errors import InvalidInput
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.lxc.options import check_spec as check_common
from vendetta.providers.lxc.options import parse

LOG_SIZE = "4MB"
"""Of the console's log; the one before it is kept too."""

PERIOD = 100_000
"""Microseconds, in which a container gets so many of processor time."""

ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

NESTING = "/usr/share/lxc/config/nesting.conf"

_DAEMONS_ONLY = ("pool", "profiles", "project")


def check_spec(spec: InstanceSpec) -> dict[str, Any]:
    """Return the options. Raises `InvalidInput` for what classic LXC can't take, though another back end might."""
    check_common(spec)
    options = parse(spec)
    for option in _DAEMONS_ONLY:
        if option in options:
            raise InvalidInput(f"options.{option}: this node has classic LXC, which has none", hint="Leave it out.")
    if options.get("type") == "vm":
        raise InvalidInput("options.type: classic LXC has no virtual machines", hint="Use the provider qemu for it.")
    if options.get("privileged") is False:
        raise InvalidInput(
            "options.privileged: containers of classic LXC are privileged",
            hint="A node with Incus or LXD makes unprivileged ones.",
        )
    if spec.disk_bytes is not None:
        raise InvalidInput("disk: classic LXC can't limit the disk of a container", hint="Leave it out.")
    for mount in spec.mounts:
        if not mount.source.startswith("/"):
            raise InvalidInput(f'mounts: classic LXC has no volumes such as "{mount.source}"', hint="Name a folder.")
    for what, text in _texts(spec):
        if "\n" in text:
            raise InvalidInput(f"{what}: classic LXC takes no line breaks there")
    return options


def build_config(name: str, spec: InstanceSpec) -> str:
    """Return the lines of the configuration, of a spec that `check_spec` has let pass."""
    return "\n".join(_build_lines(name, spec, parse(spec)))


def _build_lines(name: str, spec: InstanceSpec, options: dict[str, Any]) -> Iterator[str]:
    yield f"- lxc.uts.name = {name}"
    yield "- lxc.apparmor.profile = generated"
    if options.get("nesting"):
        yield f"- lxc.include = {NESTING}"
        yield "- lxc.apparmor.allow_nesting = 1"
    yield f"- lxc.console.size = {LOG_SIZE}"
    yield "- lxc.console.rotate = 1"
    if options.get("autostart"):
        yield "- lxc.start.auto = 1"
    for key, value in {**ENVIRONMENT, **spec.env}.items():
        yield f"- lxc.environment = {key}={value}"
    yield from _build_limits(spec)


def _build_limits(spec: InstanceSpec) -> Iterator[str]:
    if spec.memory_bytes is not None:
        yield f"1 lxc.cgroup.memory.limit_in_bytes = {spec.memory_bytes}"
        # Memory and swap together, or the limit would be twice what was asked for.
        yield f"s lxc.cgroup.memory.memsw.limit_in_bytes = {spec.memory_bytes}"
        yield f"2 lxc.cgroup2.memory.max = {spec.memory_bytes}"
        yield "S lxc.cgroup2.memory.swap.max = 0"
    if spec.cpus is not None:
        quota = round(spec.cpus * PERIOD)
        yield f"1 lxc.cgroup.cpu.cfs_period_us = {PERIOD}"
        yield f"1 lxc.cgroup.cpu.cfs_quota_us = {quota}"
        yield f"2 lxc.cgroup2.cpu.max = {quota} {PERIOD}"
    if spec.pids is not None:
        yield f"1 lxc.cgroup.pids.max = {spec.pids}"
        yield f"2 lxc.cgroup2.pids.max = {spec.pids}"


def build_mount(mount: Mount) -> str:
    """Build its line of fstab, without its end: only the node knows whether that is a folder."""
    options = "bind,ro" if mount.read_only else "bind"
    return f"{_octal(mount.source)} {_octal(mount.target.lstrip('/'))} none {options}"


def _octal(path: str) -> str:
    """Return a character that would separate words, as fstab escapes it."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\\#" else letter for letter in path)


def _texts(spec: InstanceSpec) -> Iterator[tuple[str, str]]:
    for key, value in spec.env.items():
        yield f"env.{key}", f"{key}{value}"
    for mount in spec.mounts:
        yield "mounts", f"{mount.source}{mount.target}"
