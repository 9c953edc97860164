"""Snapshots of a container: copies of the upper layer of its disk, beside it. They go with its folder."""

import re
from collections.abc import Sequence

from vendetta.errors import InvalidInput, SnapshotNotFound
from vendetta.models import Snapshot

from .host import Host
from .marks import parse_snapshot

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_COPY_SECONDS = 3600.0


class Snapshots:
    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(self, name: str) -> Sequence[Snapshot]:
        said = await self._host.ask(f"list the snapshots of {name}", "snapshots", name)
        found = (parse_snapshot(line) for line in said.splitlines())
        return sorted(found, key=lambda snapshot: snapshot.created_at)

    async def create(self, name: str, snapshot: str) -> Snapshot:
        check_name(snapshot)
        said = await self._host.ask(f"snapshot {name}", "snapshot", name, snapshot, timeout_seconds=_COPY_SECONDS)
        return parse_snapshot(said.rstrip("\n"))

    async def restore(self, name: str, snapshot: str) -> None:
        """Put the snapshot's disk in place. Repeated after it broke off: begins again."""
        check_name(snapshot)
        try:
            await self._host.ask(f"restore {name}", "restore", name, snapshot, timeout_seconds=_COPY_SECONDS)
        except SnapshotNotFound as exc:
            known = ", ".join(one.name for one in await self.list(name)) or "none"
            raise SnapshotNotFound(f'{name} has no snapshot "{snapshot}"', hint=f"It has: {known}.") from exc

    async def remove(self, name: str, snapshot: str) -> None:
        check_name(snapshot)
        await self._host.ask(f"remove a snapshot of {name}", "unsnapshot", name, snapshot)


def check_name(snapshot: str) -> None:
    """Raise `InvalidInput` for what can't be the name of a folder."""
    if not _NAME.fullmatch(snapshot):
        raise InvalidInput(
            f'"{snapshot}" is not the name of a snapshot', hint="Letters, digits, dots, hyphens and underscores."
        )
