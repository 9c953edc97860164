"""What a machine must have for a test bed, and the sentence that says what it lacks."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from platform import machine

PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "perl": "perl-base",
    "start-stop-daemon": "dpkg",
    "hostname": "hostname",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "busybox": "busybox-static",
    "docker-registry": "docker-registry",
    "podman": "podman",
    "conmon": "conmon",
    "crun": "crun",
    "incus": "incus-client",
    "/usr/libexec/incus/incusd": "incus-base",
    "lxd": "lxd",
    "lxc": "lxd-client",
    "dnsmasq": "dnsmasq-base",
    "lxc-start": "lxc",
    f"qemu-system-{machine()}": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mke2fs": "e2fsprogs",
    "initdb": "postgresql",
    "postgres": "postgresql",
}
ENGINES: Mapping[str, Sequence[str]] = {
    "docker": ("dockerd", "iptables", "busybox"),
    "podman": ("podman", "conmon", "crun", "iptables", "busybox"),
    "incus": ("/usr/libexec/incus/incusd", "incus", "dnsmasq", "iptables", "busybox"),
    "lxd": ("lxd", "lxc", "dnsmasq", "iptables", "busybox"),
    "lxc": ("lxc-start", "dnsmasq", "busybox"),
}
"""The programs of each engine that a node may have: a file of engines/."""
REGISTRY = ("docker-registry", "busybox")
GUESTS = (f"qemu-system-{machine()}", "qemu-img", "mke2fs", "busybox")
"""Of the virtual machines that a node may run, which takes no service there."""
POSTGRES = ("initdb", "postgres")
_RARE = {*REGISTRY, *GUESTS, *POSTGRES, *(program for programs in ENGINES.values() for program in programs)}
NODE = tuple(program for program in PACKAGES if program not in _RARE)

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Missing(RuntimeError):
    """This machine can't have what was asked for; the message says what it lacks."""


def require(programs: Iterable[str]) -> None:
    """Raises `Missing`."""
    if reason := missing(programs):
        raise Missing(f"a test bed {reason}")


def missing(programs: Iterable[str] = tuple(PACKAGES)) -> str | None:
    """Why there can be no bed here; None where there can."""
    if os.geteuid() != 0:
        return "needs root"
    packages = sorted({PACKAGES[program] for program in programs if not _is_there(program)})
    return f"needs the packages: {' '.join(packages)}" if packages else None


def path_of(program: str) -> str:
    """Raises `Missing`."""
    require([program])
    return str(_find(program))


def _find(program: str) -> str | None:
    """Also of those of PostgreSQL, which Debian keeps by version, outside of everybody's path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return shutil.which(program, path=":".join([SYSTEM_PATH, *map(str, versions)]))


def _is_there(program: str) -> bool:
    path = _find(program)
    if path and program == "busybox":  # the one in images has no libraries beside it
        return b"/ld-" not in Path(path).read_bytes()[:4096]
    return path is not None
