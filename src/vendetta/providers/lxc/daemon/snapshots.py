"""Snapshots of an instance's disk: the daemon's own, which go with the instance."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from vendetta.errors import InvalidInput, SnapshotNotFound, WrongState
from vendetta.models import Snapshot

from .engine import Engine
from .errors import Refused
from .instances import parse_state
from .lookup import Found, Lookup

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_TRIES = 5
AGAIN_SECONDS = 1.0


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
            async for is_last in self._turns(found):
                if made := await self._find(found, snapshot):
                    return parse_snapshot(made)
                await self._begin(found, snapshot, is_last)
            if made := await self._find(found, snapshot):
                return parse_snapshot(made)
        raise SnapshotNotFound(f"{snapshot} of {name} was made on node {self._engine.node}, and is gone again")

    async def restore(self, name: str, snapshot: str) -> None:
        check_snapshot(snapshot)
        found = await self._lookup.find(name)
        if parse_state(found.said) in ("running", "paused"):
            raise WrongState(f"can't restore {name} on node {self._engine.node}: it is running", hint="Stop it first.")
        async with self._engine.doing(f"restore {name}"):
            there = await self._change(found, snapshot, "PUT", found.path, json={"restore": snapshot})
        if not there:
            known = ", ".join(one.name for one in await self.list(name)) or "none"
            raise SnapshotNotFound(f'{name} has no snapshot "{snapshot}"', hint=f"It has: {known}.")

    async def remove(self, name: str, snapshot: str) -> None:
        check_snapshot(snapshot)
        await self.delete(await self._lookup.find(name), snapshot)

    async def delete(self, found: Found, snapshot: str) -> None:
        async with self._engine.doing(f"remove snapshot {snapshot}"):
            await self._change(found, snapshot, "DELETE", f"{found.path}/snapshots/{snapshot}")

    async def _begin(self, found: Found, snapshot: str, is_last: bool) -> None:
        try:
            await self._engine.change(
                "POST", f"{found.path}/snapshots", params=found.params, json={"name": snapshot, "stateful": False}
            )
        except Refused as exc:
            if not exc.is_taken and (is_last or not exc.is_busy):
                raise
            await asyncio.sleep(AGAIN_SECONDS)

    async def _change(self, found: Found, snapshot: str, method: str, path: str, **request: Any) -> bool:
        """False where there is no such snapshot, or none any more."""
        async for is_last in self._turns(found):
            if await self._find(found, snapshot) is None:
                return False
            try:
                await self._engine.change(method, path, params=found.params, **request)
                return True
            except Refused as exc:
                if exc.status == 404:
                    return False
                if is_last or not exc.is_busy:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
        raise AssertionError("unreachable")  # pragma: no cover - the last turn returns or raises

    async def _turns(self, found: Found) -> AsyncIterator[bool]:
        """Yield whether it is the last, for each try: once what others do to the instance has ended."""
        for left in reversed(range(_TRIES)):
            await self._engine.wait_for_others(found.project, found.engine_name)
            yield not left

    async def _find(self, found: Found, snapshot: str) -> Mapping[str, Any] | None:
        said: Mapping[str, Any] | None = await self._engine.find(f"{found.path}/snapshots/{snapshot}", **found.params)
        return said


def check_snapshot(snapshot: str) -> None:
    """Raise `InvalidInput` for what is no name of a snapshot."""
    if not _NAME.fullmatch(snapshot):
        raise InvalidInput(
            f'"{snapshot}" is not the name of a snapshot', hint="Letters, digits, dots, hyphens and underscores."
        )


def parse_snapshot(said: Mapping[str, Any]) -> Snapshot:
    """Read `GET /1.0/instances/NAME/snapshots/SNAPSHOT`. Its size is negative where the pool can't tell."""
    size = said.get("size")
    return Snapshot(
        name=said["name"].rpartition("/")[2],
        created_at=datetime.fromisoformat(said["created_at"][:19] + "+00:00"),
        size_bytes=size if isinstance(size, int) and size >= 0 else None,
    )
