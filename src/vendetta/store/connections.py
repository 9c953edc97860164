"""Builds the connections to a database, and says how each behaves."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from vendetta.errors import InvalidInput

from . import sqlite
from .unbroken import UnbrokenEngine

BUSY_TIMEOUT_MS = 5000
POOL_SIZE = 4
MORE_ON_POSTGRESQL = 6
"""Connections beyond those of the pool, while there is that much to do."""
LOCKS_AT_ONCE = 4
IDLE_SECONDS = 10
"""A process that is stopped within a transaction holds up the others for no longer: PostgreSQL ends its session."""

POSTGRESQL = {
    "application_name": "vendetta",
    "connect_timeout": 10,
    # a server that went away without a word is noticed: seconds, then milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "options": f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s",
}
"""What libpq is told, unless the URL says otherwise."""


def build_engine(location: str) -> AsyncEngine:
    """Raises `InvalidInput`."""
    codec: dict[str, Any] = {"json_serializer": _encode, "json_deserializer": msgspec.json.decode}
    if "://" in location:
        return _build_postgresql_engine(location, POOL_SIZE, MORE_ON_POSTGRESQL, **codec)
    try:
        make_private_file(Path(location))
    except OSError as exc:
        raise InvalidInput(f"can't open state_file {location}: {exc.strerror}") from exc
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=location),
        async_creator=partial(sqlite.connect, location, busy_seconds=BUSY_TIMEOUT_MS / 1000),
        pool_size=POOL_SIZE,
        max_overflow=0,
        hide_parameters=True,
        **codec,
    )
    event.listen(engine.sync_engine, "connect", _set_up_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    return UnbrokenEngine(engine.sync_engine)


def build_lock_engine(location: str) -> AsyncEngine:
    """PostgreSQL's connections that hold locks: of their own, so that who has one can still read and write."""
    return _build_postgresql_engine(location, 1, LOCKS_AT_ONCE - 1)


def build_postgresql_url(location: str) -> URL:
    """For SQLAlchemy and psycopg, with what libpq should know. Raises SQLAlchemy's `ArgumentError`."""
    url = make_url(location).set(drivername="postgresql+psycopg")
    return url.update_query_dict({name: str(value) for name, value in POSTGRESQL.items() if name not in url.query})


def make_private_file(path: Path) -> None:
    """An empty file that its owner alone can read, in a folder that is the owner's too where it had to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _build_postgresql_engine(location: str, size: int, more: int, **options: Any) -> AsyncEngine:
    try:
        backend = make_url(location).get_backend_name()
        if backend != "postgresql":
            raise InvalidInput(
                f'state_file is a "{backend}" URL', hint="It is a path for SQLite, or a postgresql:// URL."
            )
        url = build_postgresql_url(location)
        # asked for a sign of life before each use: a database that was restarted isn't met with a dead connection
        return create_async_engine(
            url, pool_size=size, max_overflow=more, pool_pre_ping=True, hide_parameters=True, **options
        )
    except (ArgumentError, NoSuchModuleError) as exc:
        raise InvalidInput("state_file is no URL of a database") from exc


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _set_up_connection(connection: DBAPIConnection, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # reads need no transaction of their own: each is one statement
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
