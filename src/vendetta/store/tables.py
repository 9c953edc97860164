"""The tables: a column for each field of the models, JSON where a field has structure, times in UTC."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    Computed,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    cast,
    column,
    false,
)

# constraints have names, so that a later migration can speak of them
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """Keep times with their zone. SQLite keeps no zone, so what it holds is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        # SQLAlchemy's own, with a zone put on it afterwards, was a third of what reading a page of rows takes
        return _parse_utc if dialect.name == "sqlite" else None


def _parse_utc(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def _json(name: str, *, nullable: bool = False, server_default: str | None = None) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=nullable, server_default=server_default)


properties = Table(
    "properties",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("address", String, nullable=False),
    Column("user", String),
    Column("port", Integer),
    Column("identity", String),
    _json("jump"),
    Column("status", String, nullable=False, index=True),
    Column("reason", Text),
    Column("since", UtcDateTime, nullable=False),
    _json("labels"),
    _json("metadata"),
    _json("capabilities"),
    Column("cordoned", Boolean, nullable=False),
    _json("host_key", nullable=True),
    Column("last_seen", UtcDateTime),
    Column("latency_seconds", Float),
    _json("resources", nullable=True),
    _json("providers"),
    Column("sudo", Boolean, nullable=False, server_default=false()),
    Column("boot_id", String),
    # whose link somebody wants; who watches it, and by which claim: see `claims`
    Column("wanted", Boolean, nullable=False, server_default=false()),
    Column("watcher", String, index=True),
    Column("term", Integer, nullable=False, server_default="0"),
)

# the processes that share this database; on SQLite one, whose lease never ends
replicas = Table(
    "replicas",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("watches", Boolean, nullable=False),
    Column("expires_at", UtcDateTime),
    # of the steps that it performs; null for a program from before they had one
    Column("steps_version", String),
)

# what replicas on different machines must all know to log in to the nodes; content is null where it is no more
credentials = Table(
    "credentials",
    metadata,
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("content", Text),
    Column("changed_at", UtcDateTime, nullable=False, index=True),
)

_spec: ColumnClause[Any] = column("spec", JSON)

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("node", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("image", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("reason", Text),
    Column("since", UtcDateTime, nullable=False),
    _json("spec"),
    Column("address", String),
    _json("services"),
    _json("labels"),
    Column("owner", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("observed_at", UtcDateTime),
    Column("wanted", String, nullable=False, server_default="stopped"),
    Column("exit_status", Integer),
    _json("last_lines", server_default="[]"),
    Column("boot_id", String),
    Column("drained", Boolean, nullable=False, server_default=false()),
    # the database itself takes them from the spec: no writer forgets them, a replica of an older version neither
    Column("cpus", Float, Computed(_spec["cpus"].as_float(), persisted=True)),
    Column("memory_bytes", BigInteger, Computed(cast(_spec["memory_bytes"].as_string(), BigInteger), persisted=True)),
    # for what each node has promised
    Index("ix_workspaces_promised", "node", "state", "cpus", "memory_bytes"),
)

operations = Table(
    "operations",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("target", String, nullable=False, index=True),
    Column("state", String, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("actor", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("deadline", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    _json("result", nullable=True),
    _json("error", nullable=True),
    Column("history", JSON(none_as_null=True), nullable=False, server_default="[]"),
    _json("input"),
    Column("key", String, unique=True),
    Column("cancelling", Boolean, nullable=False),
    Column("lane", String, index=True),
    Column("holder", String, index=True),
    # of the steps that are recorded of it: see `steps`
    Column("steps_version", String),
    sqlite_autoincrement=True,
)

_runs = operations.c.state == "running"
Index("ix_operations_running_lane", operations.c.lane, unique=True, sqlite_where=_runs, postgresql_where=_runs)

# what came of each step of an operation, by the step's name; null where one that must not run twice has begun
operation_steps = Table(
    "operation_steps",
    metadata,
    Column("operation", String, primary_key=True),
    Column("name", String, primary_key=True),
    _json("outcome", nullable=True),
    Column("once", Boolean, nullable=False),
)

# a number is never given twice, also when the newest events were pruned
events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("actor", String, nullable=False),
    _json("data"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

_valid = tokens.c.revoked_at.is_(None)
Index("ix_tokens_valid_name", tokens.c.name, unique=True, sqlite_where=_valid, postgresql_where=_valid)
