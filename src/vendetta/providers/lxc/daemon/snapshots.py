"""Snapshots of an instance's disk: the daemon's own, which go with the instance."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from vendetta.errors import InvalidInput, SnapshotNotFound, WrongState
from vendetta.models import Snapshot

from .engine import Engine
from .errors import Refused
from .instances import parse_state
from .lookup import Found, Lookup

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)


class Snapshots:
    def __init__(self, engine: Engine, lookup: Lookup) -> None:
        self._engine = engine
        self._lookup = lookup

    async def list(self, name: str) -> Sequence[Snapshot]:
        found = await self._lookup.find(name)
        async with self._engine.doing(f"list snapshots of {name}"):
            said = await self._engine.ask("GET", f"{found.path}/snapshots", params={**found.params, "recursion": "1"})
        return sorted((parse_snapshot(one) for one in said or ()), key=lambda snapshot: snapshot.created_at)

    async def create(self, name: str, snapshot: str) -> Snapshot:
        check_snapshot(snapshot)
        found = await self._lookup.find(name)
        async with self._engine.doing(f"snapshot {name}"):
            # one that somebody began is waited for, or it would be taken for made
            await self._engine.wait_for_others(found.project, found.engine_name)
            made = await self._find(found, snapshot)
            if made is None:
                try:
                    await self._engine.change(
                        "POST",
                        f"{found.path}/snapshots",
                        params=found.params,
                        json={"name": snapshot, "stateful": False},
                    )
                except Refused as exc:
                    if not exc.is_taken:
                        raise
                made = await self._find(found, snapshot)
        if made is None:
            raise SnapshotNotFound(f"{snapshot} of {name} was made on node {self._engine.node}, and is gone again")
        return parse_snapshot(made)

    async def restore(self, name: str, snapshot: str) -> None:
        check_snapshot(snapshot)
        found = await self._lookup.find(name)
        if parse_state(found.said) in ("running", "paused"):
            raise WrongState(f"can't restore {name} on node {self._engine.node}: it is running", hint="Stop it first.")
        async with self._engine.doing(f"restore {name}"):
            await self._engine.wait_for_others(found.project, found.engine_name)
            there = await self._find(found, snapshot) is not None
            if there:
                await self._engine.change("PUT", found.path, params=found.params, json={"restore": snapshot})
        if not there:
            known = ", ".join(one.name for one in await self.list(name)) or "none"
            raise SnapshotNotFound(f'{name} has no snapshot "{snapshot}"', hint=f"It has: {known}.")

    async def remove(self, name: str, snapshot: str) -> None:
        check_snapshot(snapshot)
        await self.delete(await self._lookup.find(name), snapshot)

    async def delete(self, found: Found, snapshot: str) -> None:
        async with self._engine.doing(f"remove snapshot {snapshot}"):
            # one that somebody began is waited for: the daemon refuses a second
            await self._engine.wait_for_others(found.project, found.engine_name)
            if await self._find(found, snapshot) is None:
                return
            try:
                await self._engine.change("DELETE", f"{found.path}/snapshots/{snapshot}", params=found.params)
            except Refused as exc:
                if exc.status != 404:
                    raise

    async def _find(self, found: Found, snapshot: str) -> Mapping[str, Any] | None:
        said: Mapping[str, Any] | None = await self._engine.find(f"{found.path}/snapshots/{snapshot}", **found.params)
        return said


def check_snapshot(snapshot: str) -> None:
    """Raises `InvalidInput`."""
    if not _NAME.fullmatch(snapshot):
        raise InvalidInput(
            f'"{snapshot}" is not the name of a snapshot', hint="Letters, digits, dots, hyphens and underscores."
        )


def parse_snapshot(said: Mapping[str, Any]) -> Snapshot:
    """From `GET /1.0/instances/NAME/snapshots/SNAPSHOT`. Its size is negative where the pool can't tell."""
    size = said.get("size")
    return Snapshot(
        name=said["name"].rpartition("/")[2],
        created_at=datetime.fromisoformat(said["created_at"][:19] + "+00:00"),
        size_bytes=size if isinstance(size, int) and size >= 0 else None,
    )
