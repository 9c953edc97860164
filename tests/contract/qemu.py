"""QEMU's site: a node whose user runs VMs, and a small guest that was given to it as images."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.contract.links import open_link
from tests.contract.sites import Site, ignore_progress, ssh_site
from tests.testbed import Node
from tests.testbed.guests import Guest

from vendetta.providers.qemu import QemuProvider

VMS = ".local/share/vendetta/qemu/vms"
MIB = 2**20

# Takes a VM away as a user would who knows nothing of us: its process, then its folder.
_SNATCH = """\
cd "/home/$1/$2/$3" || exit
if [ -e pid ]; then kill -KILL "$(cat pid)"; fi
rm -rf "$PWD"
"""


def build_fields(guest: Guest) -> dict[str, Any]:
    """What every spec has here: a small machine that boots the guest's kernel, in which root is the only user."""
    options = {"kernel": "kernel", "initrd": "initrd", "append": guest.append, "user": "root"}
    return {"memory_bytes": 96 * MIB, "options": options}


async def prepare_node(node: Node, guest: Guest, directory: Path) -> None:
    """Gives it the guest. `directory` is for our side's keys."""
    async with open_link(node, directory) as connection:
        provider = QemuProvider(connection, "testbed")
        for name in ("kernel", "initrd", "disk"):
            await provider.push_image("tools" if name == "disk" else name, getattr(guest, name), ignore_progress)
        await provider.close()


@asynccontextmanager
async def qemu_site(node: Node, guest: Guest, directory: Path) -> AsyncIterator[Site]:
    """On a node of `prepare_node`."""
    async with ssh_site(
        node,
        directory,
        QemuProvider,
        snatch_from(node),
        absent_image="no-such-image",
        fields=build_fields(guest),
        cuts=2,
        crowd=5,  # emulated, more of them leave nothing of this machine to the tests beside them
    ) as site:
        yield site


def snatch_from(node: Node) -> Callable[[str], Awaitable[None]]:
    async def snatch(name: str) -> None:
        node.run(["sh", "-c", _SNATCH, "snatch", node.user, VMS, name])

    return snatch
