"""What programs before schema 0009 recorded of operations' steps, with DBOS: in a file beside SQLite's, or a schema.

It is read by plain SQL. Whoever can write there must not be able to have anything executed here, so a row counts only
if its column says JSON, and only as JSON of the shape that was written; a step whose row doesn't count runs again.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import bindparam, text

from vendetta.errors import InvalidInput
from vendetta.models import Attempt, Problem

from .connection import Connection
from .steps import number_step

log = structlog.get_logger(__name__)

SCHEMA = "vendetta_operations"
JSON_COLUMN = "portable_json"
BEGINS = " begins"
"""After the name of a step that must not run twice: the name of a step before it, which says that it has begun."""

_QUERY = """
SELECT step.workflow_uuid, step.function_name, step.output, step.serialization, workflow.application_version
FROM {schema}operation_outputs AS step
JOIN {schema}workflow_status AS workflow ON workflow.workflow_uuid = step.workflow_uuid
WHERE step.workflow_uuid IN {ids}
ORDER BY step.workflow_uuid, step.function_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderStep:
    """Hold what is known of one step, as a row of `operation_steps`, and the version of the program that wrote it."""

    operation: str
    name: str
    outcome: dict[str, Any] | None
    once: bool
    version: str


class _Done(msgspec.Struct, forbid_unknown_fields=True):
    value: Any
    history: list[Attempt] = []


class _Failed(msgspec.Struct, forbid_unknown_fields=True):
    problem: Problem
    history: list[Attempt] = []


def read_older_file(path: Path, ids: Sequence[str]) -> list[OlderStep]:
    """Return what the file beside SQLite's tells of these operations; nothing where there is none.

    Raises `InvalidInput` where it can't be read: what must not run twice may have run.
    """
    if not path.exists():
        return []
    query = _QUERY.format(schema="", ids=f"({', '.join('?' * len(ids))})")
    try:
        # to be written too, for what a killed process has left in the write-ahead log is put in place first
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            return _parse(connection.execute(query, ids).fetchall())
    except sqlite3.Error as exc:
        raise InvalidInput(
            f"can't read {path}, where the version before kept the steps of its operations: {exc}",
            hint="Mend it, or move it away: then what it was at begins again, and a command may run a second time.",
        ) from exc


async def read_older_schema(connection: Connection, ids: Sequence[str]) -> list[OlderStep]:
    """Return what the schema in PostgreSQL tells of them; nothing where there is none."""
    there = await connection.execute(text("SELECT to_regclass(:table)"), {"table": f"{SCHEMA}.operation_outputs"})
    if there.scalar() is None:
        return []
    query = text(_QUERY.format(schema=f"{SCHEMA}.", ids=":ids")).bindparams(bindparam("ids", expanding=True))
    return _parse((await connection.execute(query, {"ids": list(ids)})).all())


def _parse(rows: Iterable[Sequence[Any]]) -> list[OlderStep]:
    steps: dict[tuple[str, str], OlderStep] = {}
    named: Counter[tuple[str, str]] = Counter()
    for operation, given, output, serialization, version in rows:
        named[operation, given] += 1
        name = number_step(given, named[operation, given])
        outcome = _parse_outcome(output) if serialization == JSON_COLUMN else None
        known = {"operation": operation, "version": version or ""}
        if name.endswith(BEGINS):
            # that it has begun is to be believed however it is written
            begun = name.removesuffix(BEGINS)
            steps[operation, begun] = OlderStep(name=begun, outcome=None, once=True, **known)
        elif outcome is None:
            log.warning("the recorded outcome of a step isn't readable", operation=operation, step=name)
        else:
            once = (operation, name) in steps
            steps[operation, name] = OlderStep(name=name, outcome=outcome, once=once, **known)
    return list(steps.values())


def _parse_outcome(output: Any) -> dict[str, Any] | None:
    try:
        outcome: dict[str, Any] = msgspec.json.decode(output, type=dict[str, Any])
        msgspec.convert(outcome, _Failed if "problem" in outcome else _Done)
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
        return None
    return outcome
