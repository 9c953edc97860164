"""PostgreSQL: a few connections for what is read and written, others that hold locks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from vendetta.errors import InvalidInput

from .connection import JSON, Connection, hold

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

POOL_SIZE, MORE = 4, 6
"""Connections, and those beyond while there is that much to do."""
LOCKS_AT_ONCE = 4
ANSWER_SECONDS = 15.0
"""How long it may take for what is read or written at once before it counts as gone."""
IDLE_SECONDS = 10
"""A process that is stopped within a transaction holds up the others for no longer: its session is ended."""

SETTINGS = {
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


class Postgresql:
    """Give connections to PostgreSQL. Raises `InvalidInput` for what is no URL of one."""

    def __init__(self, location: str) -> None:
        self._engine = _build_engine(location, POOL_SIZE, MORE, **JSON)
        # of their own, so that who holds a lock can still read and write
        self._lock_engine = _build_engine(location, 1, LOCKS_AT_ONCE - 1)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with asyncio.timeout(ANSWER_SECONDS), self._engine.connect() as connection:
            # which spares two of its three ways to the database
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def write(self, *, in_time: bool) -> AsyncIterator[Connection]:
        async with asyncio.timeout(ANSWER_SECONDS if in_time else None), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        # the callers of this process wait without a connection each
        async with self._locks.setdefault(name, asyncio.Lock()), self._lock_engine.connect() as connection:
            async with asyncio.timeout(ANSWER_SECONDS):
                await hold(connection, f"exclusive {name}")
            try:
                yield
            finally:
                await _let_go(connection, name)

    async def connect_alone(self) -> "psycopg.AsyncConnection":
        """Open a connection outside of every pool, each statement a transaction. Raises `psycopg.Error`."""
        from psycopg import AsyncConnection as Alone

        _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        return await Alone.connect(**arguments, autocommit=True)

    async def close(self) -> None:
        await self._engine.dispose()
        await self._lock_engine.dispose()


def build_postgresql_url(location: str) -> URL:
    """Build the URL for SQLAlchemy and psycopg, with what libpq should know. Raises SQLAlchemy's `ArgumentError`."""
    url = make_url(location).set(drivername="postgresql+psycopg")
    return url.update_query_dict({name: str(value) for name, value in SETTINGS.items() if name not in url.query})


def _build_engine(location: str, size: int, more: int, **options: Any) -> AsyncEngine:
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


async def _let_go(connection: AsyncConnection, name: str) -> None:
    try:
        await connection.rollback()
    except DBAPIError as exc:
        log.warning("a lock was lost while it was held", name=name, reason=str(exc.orig))
