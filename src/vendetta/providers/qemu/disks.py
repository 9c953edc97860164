"""More room on a VM's disk: by qemu where it runs, by qemu-img where it doesn't."""

from typing import Any

import msgspec

from vendetta.errors import InvalidInput, UnexpectedReply
from vendetta.transport import Transport

from .argv import QMP
from .qmp import open_qmp
from .scripts import VMS, Scripts, parse_found_with_rest


async def resize_disk(transport: Transport, scripts: Scripts, owner: str, name: str, size_bytes: int) -> None:
    """Implement `Resizing.resize_disk`."""
    what = f"resize the disk of {name}"
    found, said = parse_found_with_rest(await scripts.run(what, VMS, "snapshots", owner, name))
    has = parse_size(said)
    if size_bytes < has:
        raise InvalidInput(f"{what}: {size_bytes} bytes are less than it has, which is {has}", hint="Disks only grow.")
    if size_bytes == has:
        return
    if found.alive:
        async with open_qmp(transport, f"{found.folder}/{QMP}", what) as qmp:
            await qmp.execute("block_resize", node_name="disk", size=size_bytes)
    else:
        await scripts.run(what, VMS, "image", owner, name, "resize", "-q", "DISK", str(size_bytes))


def parse_size(said: bytes) -> int:
    """Return the bytes that the guest sees, by `qemu-img info --output=json`. Raises `UnexpectedReply`."""
    try:
        return int(msgspec.json.decode(said, type=dict[str, Any])["virtual-size"])
    except (msgspec.DecodeError, KeyError, ValueError) as exc:
        raise UnexpectedReply("qemu-img doesn't say how large a disk is") from exc
