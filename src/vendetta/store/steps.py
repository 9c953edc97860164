"""The outcomes of operations' steps: written by whoever performs the operation, read by whoever goes on with it.

They are kept for as long as the operation itself. The names of an operation's steps, and what their outcomes mean, are
its handler's: `STEPS_VERSION` tells those of one program from those of another.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Insert, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from vendetta.models import FINISHED

from .claims import LeaseLost, OperationLease
from .connection import is_shared
from .database import Access
from .tables import operation_steps, operations

STEPS_VERSION = "2"
"""Raised by hand when the steps of a kind change in name, order or meaning.

An operation that was begun under another version begins again. Where this is forgotten, a handler is given outcomes of
steps that it doesn't have, or finds none for those that were done; a test compares the names with a list.
"""

Outcome = dict[str, Any]
"""JSON: the step's `value`, or the `problem` that it failed with; and its `history` of attempts."""


def number_step(name: str, number: int) -> str:
    """Return the name by which a step is recorded that is the `number`-th, from 1, of its name in its operation."""
    return name if number == 1 else f"{name} ({number})"


class OperationSteps:
    def __init__(self, database: Access) -> None:
        self._database = database

    async def keep(self, lease: OperationLease, name: str, outcome: Outcome | None, *, once: bool = False) -> None:
        """Write what came of the step `name`, in place of what was written of it before.

        `once`: it must not run twice; None says that it has begun. Raises `LeaseLost`, and writes nothing, where the
        operation is performed by somebody else by now, or has ended.
        """
        async with self._database.write() as connection:
            written = await connection.execute(
                _keep(is_shared(connection)),
                {_ID: lease.operation, _HOLDER: lease.holder, _NAME: name, _OUTCOME: outcome, _ONCE: once},
            )
            if not written.rowcount:
                raise LeaseLost(f"operation {lease.operation} is performed by another replica")

    async def load(self, operation: str) -> Mapping[str, Outcome | None]:
        """Return the outcomes of its steps by their names; None where a step has begun, and nothing else is known."""
        query = select(operation_steps.c.name, operation_steps.c.outcome)
        async with self._database.read() as connection:
            rows = await connection.execute(query.where(operation_steps.c.operation == operation))
            return {row.name: row.outcome for row in rows}


_ID, _HOLDER, _NAME, _OUTCOME, _ONCE = "of_id", "of_holder", "step_name", "step_outcome", "step_once"


@cache
def _keep(shared: bool) -> Insert:
    """Insert or replace a row of a step where the operation is held. Nobody takes it until the transaction ends."""
    columns = operation_steps.c
    held = (
        select(
            operations.c.id,
            bindparam(_NAME, type_=columns.name.type),
            bindparam(_OUTCOME, type_=columns.outcome.type),
            bindparam(_ONCE, type_=columns.once.type),
        )
        .where(
            operations.c.id == bindparam(_ID),
            operations.c.holder == bindparam(_HOLDER),
            operations.c.state.not_in(FINISHED),
        )
        .with_for_update(read=True, of=operations)
    )
    insert = postgresql.insert(operation_steps) if shared else sqlite.insert(operation_steps)
    adding = insert.from_select([columns.operation, columns.name, columns.outcome, columns.once], held)
    return adding.on_conflict_do_update(
        index_elements=[columns.operation, columns.name],
        set_={"outcome": adding.excluded.outcome, "once": adding.excluded.once},
    )
