"""Snapshots of a VM's disks, kept inside them: by qemu where it runs, by qemu-img where it doesn't."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from vendetta.errors import InvalidInput, ProviderError, SnapshotNotFound, UnexpectedReply
from vendetta.models import Snapshot
from vendetta.transport import Transport

from .argv import QMP
from .qmp import open_qmp
from .scripts import VMS, Found, Scripts, parse_found_with_rest

DISK_SECONDS = 300.0
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class Snapshots:
    def __init__(self, transport: Transport, scripts: Scripts, owner: str) -> None:
        self._transport = transport
        self._scripts = scripts
        self._owner = owner

    async def list(self, name: str) -> Sequence[Snapshot]:
        _, snapshots = await self._look(name)
        return snapshots

    async def create(self, name: str, snapshot: str) -> Snapshot:
        check_snapshot_name(snapshot)
        found, snapshots = await self._look(name)
        if not (there := _pick(snapshots, snapshot)):
            if found.alive:
                await self._ask(found, "snapshot", "blockdev-snapshot-internal-sync", snapshot)
            else:
                await self._run(f"snapshot {name}", name, "snapshot", "-c", snapshot, "DISK")
            there = _pick(await self.list(name), snapshot)
        if not there:
            raise ProviderError(
                f"snapshot {snapshot} of {name} was made on node {self._scripts.node}, and is gone again"
            )
        return there

    async def restore(self, name: str, snapshot: str) -> None:
        check_snapshot_name(snapshot)
        _, snapshots = await self._look(name)
        if not _pick(snapshots, snapshot):
            known = ", ".join(one.name for one in snapshots) or "none"
            raise SnapshotNotFound(f'{name} has no snapshot "{snapshot}"', hint=f"It has: {known}.")
        await self._run(f"restore {name}", name, "snapshot", "-a", snapshot, "DISK")

    async def remove(self, name: str, snapshot: str) -> None:
        check_snapshot_name(snapshot)
        found, snapshots = await self._look(name)
        if not _pick(snapshots, snapshot):
            return
        if found.alive:
            await self._ask(found, "remove a snapshot of", "blockdev-snapshot-delete-internal-sync", snapshot)
        else:
            await self._run(f"remove a snapshot of {name}", name, "snapshot", "-d", snapshot, "DISK")

    async def _look(self, name: str) -> tuple[Found, Sequence[Snapshot]]:
        output = await self._scripts.run(f"look at the disk of {name}", VMS, "snapshots", self._owner, name)
        found, said = parse_found_with_rest(output)
        return found, parse_snapshots(said)

    async def _ask(self, found: Found, doing: str, command: str, snapshot: str) -> None:
        async with open_qmp(self._transport, f"{found.folder}/{QMP}", f"{doing} {found.record.name}") as qmp:
            await qmp.execute(command, device="disk", name=snapshot)

    async def _run(self, what: str, name: str, *arguments: str) -> None:
        await self._scripts.run(what, VMS, "image", self._owner, name, *arguments, timeout_seconds=DISK_SECONDS)


def check_snapshot_name(snapshot: str) -> None:
    """Raise `InvalidInput` for what is no name of a snapshot."""
    if not _NAME.fullmatch(snapshot):
        raise InvalidInput(
            f'"{snapshot}" is not the name of a snapshot', hint="Letters, digits, dots, hyphens and underscores."
        )


def parse_snapshots(said: bytes) -> list[Snapshot]:
    """Read `qemu-img info --output=json`: snapshots, the oldest first. Raises `UnexpectedReply`."""
    try:
        info = msgspec.json.decode(said, type=dict[str, Any])
        made = [(one["date-sec"], one["date-nsec"], int(one["id"]), one["name"]) for one in info.get("snapshots") or ()]
    except (msgspec.DecodeError, KeyError, ValueError) as exc:
        raise UnexpectedReply("qemu-img doesn't say what is on a disk") from exc
    return [
        Snapshot(name=name, created_at=datetime.fromtimestamp(seconds + nanoseconds / 1e9, UTC))
        for seconds, nanoseconds, _, name in sorted(made)
    ]


def _pick(snapshots: Sequence[Snapshot], name: str) -> Snapshot | None:
    return next((one for one in snapshots if one.name == name), None)
