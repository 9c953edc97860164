"""Who goes on with operations that are left: each by one process alone, and one that knows their steps.

With an operation the recorded outcomes of its steps change hands. Those of another version are dropped, so that it
begins again; but that a step which must not run twice has begun, or is done, is never forgotten.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from sqlalchemy import ColumnElement, delete, func, insert, not_, or_, select, true, update

from vendetta.models import FINISHED, Operation

from .connection import Connection, is_shared
from .database import Access
from .older_steps import read_older_file, read_older_schema
from .replicas import build_alive
from .rows import in_pieces, parse_rows
from .tables import operation_steps, operations, replicas


class Adoption:
    """Hand unfinished operations over to another process. `version` is that of the steps which this program performs.

    `older_file` is where a program before kept them, on SQLite.
    """

    def __init__(self, database: Access, version: str, older_file: Path | None) -> None:
        self._database = database
        self._version = version
        self._older_file = older_file

    async def holders(self) -> Collection[str]:
        """Return who holds those that are unfinished."""
        query = select(operations.c.holder).where(operations.c.state.not_in(FINISHED)).distinct()
        async with self._database.read() as connection:
            return [holder for holder in (await connection.execute(query)).scalars() if holder is not None]

    async def take_over(self, holder: str, gone: Collection[str] | None) -> Sequence[Operation]:
        """Have `holder` hold those unfinished that nobody holds, or that `gone` (None: anybody) held.

        Those of another version are left to the replicas that perform it, while there are any. Returns what was taken,
        in the order in which it was asked for. Raises `InvalidInput` where older steps can't be read.
        """
        free = true() if gone is None else or_(operations.c.holder.in_(gone), operations.c.holder.is_(None))
        async with self._database.write() as connection:
            rows = (
                await connection.execute(
                    update(operations)
                    .where(operations.c.state.not_in(FINISHED), free, self._is_ours())
                    .values(holder=holder)
                    .returning(*operations.c)
                )
            ).all()
            await self._take_in_older(connection, [row.id for row in rows if row.steps_version is None])
            await self._drop_others(connection, holder)
        return parse_rows(Operation, sorted(rows, key=lambda row: row.sequence))

    def forget_older(self) -> None:
        """Remove the file of older steps: what was left in it has been taken over."""
        if self._older_file:
            for suffix in ("", "-wal", "-shm"):
                self._older_file.with_name(self._older_file.name + suffix).unlink(missing_ok=True)

    def _is_ours(self) -> ColumnElement[bool]:
        """Match operations whose version this program performs, or no living replica does. None is a version too."""
        version = func.coalesce(operations.c.steps_version, "")
        performed = select(func.coalesce(replicas.c.steps_version, "")).where(build_alive())
        return or_(version == self._version, version.not_in(performed))

    async def _take_in_older(self, connection: Connection, ids: Sequence[str]) -> None:
        for some in in_pieces(ids):
            if is_shared(connection):
                found = await read_older_schema(connection, some)
            else:
                found = read_older_file(self._older_file, some) if self._older_file else []
            for step in found:
                values = {"operation": step.operation, "name": step.name, "outcome": step.outcome, "once": step.once}
                await connection.execute(insert(operation_steps).values(values))
            for operation, version in {step.operation: step.version for step in found}.items():
                query = update(operations).where(operations.c.id == operation)
                await connection.execute(query.values(steps_version=version))

    async def _drop_others(self, connection: Connection, holder: str) -> None:
        """Delete the outcomes of other versions of steps, of the operations that `holder` holds now."""
        other = (
            operations.c.holder == holder,
            operations.c.state.not_in(FINISHED),
            operations.c.steps_version.is_distinct_from(self._version),
        )
        stale = operation_steps.c.operation.in_(select(operations.c.id).where(*other))
        await connection.execute(delete(operation_steps).where(stale, not_(operation_steps.c.once)))
        await connection.execute(update(operations).where(*other).values(steps_version=self._version))
