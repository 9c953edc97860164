"""One database: SQLite in a private file, or PostgreSQL by URL. Owns the engine and what a transaction is.

On SQLite a writer begins with `BEGIN IMMEDIATE`: what it reads is still true when it writes. Writers of this process
take turns on a lock, because SQLite's own waiting sleeps; `busy_timeout` is for writers of other processes.

On PostgreSQL writers run side by side and each statement sees what is committed by then: what one reads so as to write
it again is read `with_for_update()`, which on SQLite says nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import msgspec
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from vendetta.errors import InvalidInput

BUSY_TIMEOUT_MS = 5000
POOL_SIZE = 4
MORE_ON_POSTGRESQL = 6
"""Connections beyond those of the pool, while there is that much to do."""
POSTGRESQL = {
    "application_name": "vendetta",
    "connect_timeout": 10,
    # a server that went away without a word is noticed: seconds, then milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    # a process that is stopped within a transaction doesn't hold up the others for longer
    "options": "-c idle_in_transaction_session_timeout=10s",
}
"""What libpq is told, unless the URL says otherwise."""


class Access(Protocol):
    """To a database, or to one transaction of it."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]: ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]: ...


class Joined:
    """Takes part in a transaction that somebody else has begun, and ends."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        yield self._connection


class Database:
    """`location` is the path of a SQLite file, or a `postgresql://` URL. Raises `InvalidInput`."""

    def __init__(self, location: str) -> None:
        self._engine = _build_engine(location)
        self._turn: AbstractAsyncContextManager[Any] = nullcontext()
        if self._engine.dialect.name == "sqlite":
            self._turn = asyncio.Lock()
            event.listen(self._engine.sync_engine, "connect", _set_up_connection)
            event.listen(self._engine.sync_engine, "begin", _begin)

    @property
    def shared(self) -> bool:
        """Whether processes on other machines may use it too."""
        return self._engine.dialect.name != "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it when the block ends, nothing of it when the block raises."""
        async with self._turn, self._engine.connect() as connection:
            await connection.execution_options(writes=True)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()


def make_private_file(path: Path) -> None:
    """An empty file that its owner alone can read, in a folder that is the owner's too where it had to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def build_postgresql_url(location: str) -> URL:
    """For SQLAlchemy and psycopg, with what libpq should know. Raises SQLAlchemy's `ArgumentError`."""
    url = make_url(location).set(drivername="postgresql+psycopg")
    return url.update_query_dict({name: str(value) for name, value in POSTGRESQL.items() if name not in url.query})


def _build_engine(location: str) -> AsyncEngine:
    codec: dict[str, Any] = {"json_serializer": _encode, "json_deserializer": msgspec.json.decode}
    if "://" not in location:
        try:
            make_private_file(Path(location))
        except OSError as exc:
            raise InvalidInput(f"can't open state_file {location}: {exc.strerror}") from exc
        return create_async_engine(
            URL.create("sqlite+aiosqlite", database=location),
            connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
            pool_size=POOL_SIZE,
            max_overflow=0,
            **codec,
        )
    try:
        backend = make_url(location).get_backend_name()
        if backend != "postgresql":
            raise InvalidInput(
                f'state_file is a "{backend}" URL', hint="It is a path for SQLite, or a postgresql:// URL."
            )
        return create_async_engine(
            build_postgresql_url(location),
            pool_size=POOL_SIZE,
            max_overflow=MORE_ON_POSTGRESQL,
            pool_pre_ping=True,
            **codec,
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
