"""What is the matter with classic LXC on a node, and the command that mends it."""

from collections.abc import Mapping

from vendetta.errors import EngineForbidden, LinkError, VendettaError
from vendetta.models import Check

from .host import START_BRIDGE, Host

INSTALL = "sudo apt-get install lxc"
SUDO = 'echo "$USER ALL=(ALL) NOPASSWD: ALL" | sudo tee /etc/sudoers.d/vendetta'
MIB = 2**20
LITTLE_BYTES, NO_BYTES = 2 * 2**30, 256 * 2**20
LIMITS = ("cpu", "memory", "pids")


async def examine(host: Host) -> list[Check]:
    """Implement `Checkup.checks`."""
    try:
        found = parse_found(await host.ask("examine lxc", "examine"))
    except LinkError:
        raise
    except VendettaError as exc:
        return [
            Check(
                name="lxc",
                state="warning",  # the commands alone don't say that they are meant for us
                detail=exc.message,
                mend=SUDO if isinstance(exc, EngineForbidden) else None,
            )
        ]
    if "version" not in found:
        return [Check(name="lxc", state="skipped", detail="there are no lxc-* commands", mend=INSTALL)]
    usable = Check(name="lxc", state="ok", detail=f"lxc {found['version']}, as root")
    return [usable, check_bridge(found), check_limits(found), check_storage(found)]


def parse_found(said: str) -> Mapping[str, str]:
    """Read lines of a key and what was found."""
    pairs = (line.partition(" ") for line in said.splitlines())
    return {key: value for key, _, value in pairs}


def has_bridge(found: Mapping[str, str]) -> bool:
    return "address" in found


def check_bridge(found: Mapping[str, str]) -> Check:
    bridge = found.get("bridge", "")
    if not has_bridge(found):
        detail = f"there is no network bridge {bridge}: workspaces can't be made"
        return Check(name="lxc-bridge", state="warning", detail=detail, mend=START_BRIDGE)
    if not found["address"]:
        detail = f"the network bridge {bridge} has no address: workspaces get none either, unless by DHCP"
        return Check(name="lxc-bridge", state="warning", detail=detail)
    return Check(name="lxc-bridge", state="ok", detail=f"{bridge}, {found['address']}")


def check_limits(found: Mapping[str, str]) -> Check:
    there = found.get("controllers", "").split()
    missing = [name for name in LIMITS if name not in there]
    if missing:
        detail = f"no cgroup controller for {', '.join(missing)}: a workspace may take all of the node's"
        return Check(name="lxc-limits", state="warning", detail=detail)
    return Check(name="lxc-limits", state="ok", detail="memory, CPUs and processes of a workspace can be limited")


def check_storage(found: Mapping[str, str]) -> Check:
    if "overlay" not in found:
        detail = "the kernel has no overlay file system, which the disks of workspaces are"
        return Check(name="lxc-storage", state="failure", detail=detail)
    free = int(found["free"]) * 1024 if found.get("free", "").isdigit() else None
    if free is None:
        return Check(name="lxc-storage", state="ok", detail=found.get("path", ""))
    detail = f"{found.get('path', '')}, {free // MIB} MiB free"
    if free < LITTLE_BYTES:
        return Check(name="lxc-storage", state="failure" if free < NO_BYTES else "warning", detail=detail)
    return Check(name="lxc-storage", state="ok", detail=detail)
