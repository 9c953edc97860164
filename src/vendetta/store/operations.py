"""The operations, by id, in the order in which they were asked for. Their progress is not kept here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, delete, func, insert, or_, select, true
from sqlalchemy.exc import IntegrityError

from vendetta.errors import OperationNotFound
from vendetta.models import FINISHED, Operation

from .database import Access
from .rows import Page, build_page, build_values, in_pieces, match_given, parse_number, parse_row, parse_rows
from .statements import KEY, build_parameters, new_value, select_by, update_by
from .tables import operation_steps, operations


@dataclass(frozen=True, slots=True)
class Kept:
    """Hold what the model of an operation doesn't: what it was asked to do, and whether it is to be cancelled."""

    input: dict[str, Any]
    cancelling: bool


class Operations:
    """Keep the operations. `steps_version` is that of the steps by which those that are added here are performed."""

    def __init__(self, database: Access, steps_version: str) -> None:
        self._database = database
        self._steps_version = steps_version

    async def add(
        self,
        operation: Operation,
        input: dict[str, Any],
        key: str | None,
        *,
        lane: str | None = None,
        holder: str | None = None,
    ) -> tuple[Operation, bool]:
        """Record it, and return it with True. Where `key` is known already, return that operation with False."""
        values = build_values(operation)
        del values["progress"]
        values |= {"input": input, "key": key, "cancelling": False, "lane": lane, "holder": holder}
        values["steps_version"] = self._steps_version
        try:
            async with self._database.write() as connection:
                await connection.execute(_ADD, values)
        except IntegrityError:
            known = await self.by_key(key) if key is not None else None
            if known is None:
                raise
            return known, False
        return operation, True

    async def get(self, id: str) -> Operation:
        """Return the operation. Raises `OperationNotFound`."""
        return parse_row(Operation, await self._row(id))

    async def kept(self, id: str) -> Kept:
        """Return what its model doesn't hold. Raises `OperationNotFound`."""
        row = await self._row(id)
        return Kept(row.input, bool(row.cancelling))

    async def input(self, id: str) -> dict[str, Any]:
        """Return what it was asked to do, as JSON values. Raises `OperationNotFound`."""
        return (await self.kept(id)).input

    async def cancelling(self, id: str) -> bool:
        """Return whether `update(id, cancelling=True)` was called. Raises `OperationNotFound`."""
        return (await self.kept(id)).cancelling

    async def by_key(self, key: str) -> Operation | None:
        """Return the operation that was recorded with that key; None where there is none."""
        async with self._database.read() as connection:
            row = (await connection.execute(select_by(operations.c.key), {KEY: key})).first()
        return None if row is None else parse_row(Operation, row)

    async def finish(self, id: str, *, holder: str, **changes: Any) -> Operation | None:
        """Set the fields that are named, and return it; None where another process holds it by now."""
        values = build_values(changes)
        parameters = {KEY: id, _HOLDER: holder, **build_parameters(values)}
        async with self._database.write() as connection:
            row = (await connection.execute(_update_held(tuple(values)), parameters)).first()
        return None if row is None else parse_row(Operation, row)

    async def update(self, id: str, **changes: Any) -> Operation:
        """Set the fields that are named, and return it. Raises `OperationNotFound`."""
        values = {"id": id, **build_values(changes)}
        query = update_by(operations.c.id, tuple(values))
        async with self._database.write() as connection:
            row = (await connection.execute(query, {KEY: id, **build_parameters(values)})).first()
        if row is None:
            raise _absent(id)
        return parse_row(Operation, row)

    async def begin(self, id: str, *, holder: str, lane: str, in_order: bool, **changes: Any) -> Operation | None:
        """Set it to running, and the fields that are named, and return it.

        None where another process holds it, where one of its lane runs, or, `in_order`, one of it that was asked for
        before has not ended.
        """
        values = {**build_values(changes), "state": "running", "lane": lane}
        query = _begin_held(tuple(values), in_order)
        parameters = {KEY: id, _HOLDER: holder, **build_parameters(values)}
        try:
            async with self._database.write() as connection:
                row = (await connection.execute(query, parameters)).first()
        except IntegrityError:
            # two began at one moment, and the other's was written first
            return None
        return None if row is None else parse_row(Operation, row)

    async def count_by_state(self) -> Mapping[tuple[str, str], int]:
        """Count those that are kept, by kind and state."""
        kind, state = operations.c.kind, operations.c.state
        query = select(kind, state, func.count().label("number")).group_by(kind, state)
        async with self._database.read() as connection:
            return {(row.kind, row.state): row.number for row in await connection.execute(query)}

    async def unfinished(self) -> Sequence[Operation]:
        """Return those that have not ended, the oldest first."""
        query = select(operations).where(operations.c.state.not_in(FINISHED)).order_by(operations.c.sequence)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return parse_rows(Operation, rows)

    async def prune(self, *, keep: int, before: datetime | None = None) -> Sequence[str]:
        """Forget finished ones but for the `keep` newest, and those that finished before a time, with their steps.

        Returns their ids.
        """
        finished = operations.c.state.in_(FINISHED)
        kept = select(operations.c.sequence).where(finished).order_by(operations.c.sequence.desc()).limit(keep)
        surplus = operations.c.sequence.not_in(kept.scalar_subquery())
        old = surplus if before is None else or_(surplus, operations.c.finished_at < before)
        async with self._database.write() as connection:
            removed = await connection.execute(delete(operations).where(finished, old).returning(operations.c.id))
            ids = removed.scalars().all()
            for some in in_pieces(ids):
                await connection.execute(delete(operation_steps).where(operation_steps.c.operation.in_(some)))
            return ids

    async def list(
        self,
        *,
        state: str | None = None,
        target: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Operation]:
        """List them, the newest first; None for any state, target or kind."""
        query = select(operations).where(match_given(operations, state=state, target=target, kind=kind))
        if cursor is not None:
            query = query.where(operations.c.sequence < parse_number(cursor))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(operations.c.sequence.desc()).limit(limit + 1))).all()
        return build_page(Operation, rows, limit, lambda row: row.sequence)

    async def _row(self, id: str) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(select_by(operations.c.id), {KEY: id})).first()
        if row is None:
            raise _absent(id)
        return row


def _absent(id: str) -> OperationNotFound:
    return OperationNotFound(f"there is no operation {id}", hint="See them with: vendetta operation list", operation=id)


_HOLDER = "wanted_holder"
_ADD = insert(operations)


@cache
def _update_held(names: tuple[str, ...]) -> Update:
    """Build an update by id, as `update_by` does, of a row that `_HOLDER` holds."""
    return update_by(operations.c.id, names).where(operations.c.holder == bindparam(_HOLDER))


@cache
def _begin_held(names: tuple[str, ...], in_order: bool) -> Update:
    """Build the same for a row that has not ended, and, `in_order`, before which none of its lane is left."""
    earlier = operations.alias()
    before = select(earlier.c.id).where(
        earlier.c.lane == bindparam(new_value("lane"), type_=operations.c.lane.type),
        earlier.c.sequence < operations.c.sequence,
        earlier.c.state.not_in(FINISHED),
    )
    first = ~before.exists() if in_order else true()
    return _update_held(names).where(operations.c.state.not_in(FINISHED), first)
