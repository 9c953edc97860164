"""PostgreSQL: a few connections for what is read and written, others that hold locks."""

import asyncio
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from vendetta.errors import InvalidInput

from .connection import JSON, Connection, hold

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

READERS, WRITERS, LOCKS_AT_ONCE = 4, 6, 4
"""Connections of each kind, which stay open.

With more, one process asks no faster; with fewer, what waits for its turn adds up where the database is far away.
"""
TRUSTED_SECONDS = 1.0
"""A connection that was used this recently isn't asked for a sign of life, which was a quarter of all questions.

A server that ends a connection says so: one on which nothing has arrived is as good as when it was used.
"""
ANSWER_SECONDS = 15.0
"""How long it may take for what is read or written at once before it counts as gone."""
IDLE_SECONDS = 10
"""A process that is stopped within a transaction holds up the others for no longer: its session is ended."""
USED = "when it was used last"
"""Where a connection's record in the pool keeps that, by the monotonic clock."""

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
        # in autocommit: a statement that reads needs no BEGIN and COMMIT, each of which is a question of its own
        self._readers = _build_engine(location, READERS, isolation_level="AUTOCOMMIT", **JSON)
        self._writers = _build_engine(location, WRITERS, **JSON)
        # of their own, so that who holds a lock can still read and write
        self._lock_engine = _build_engine(location, LOCKS_AT_ONCE)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        async with asyncio.timeout(ANSWER_SECONDS), self._readers.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self, *, in_time: bool) -> AsyncIterator[Connection]:
        async with asyncio.timeout(ANSWER_SECONDS if in_time else None), self._writers.begin() as connection:
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

        _, arguments = self._writers.dialect.create_connect_args(self._writers.url)
        return await Alone.connect(**arguments, autocommit=True)

    async def close(self) -> None:
        for engine in (self._readers, self._writers, self._lock_engine):
            await engine.dispose()


def build_postgresql_url(location: str) -> URL:
    """Build the URL for SQLAlchemy and psycopg, with what libpq should know. Raises SQLAlchemy's `ArgumentError`."""
    url = make_url(location).set(drivername="postgresql+psycopg")
    return url.update_query_dict({name: str(value) for name, value in SETTINGS.items() if name not in url.query})


def _build_engine(location: str, size: int, **options: Any) -> AsyncEngine:
    try:
        backend = make_url(location).get_backend_name()
        if backend != "postgresql":
            raise InvalidInput(
                f'state_file is a "{backend}" URL', hint="It is a path for SQLite, or a postgresql:// URL."
            )
        url = build_postgresql_url(location)
        # no overflow: those are closed after each use, and opened for the next one
        engine = create_async_engine(url, pool_size=size, max_overflow=0, hide_parameters=True, **options)
    except (ArgumentError, NoSuchModuleError) as exc:
        raise InvalidInput("state_file is no URL of a database") from exc
    _ask_before_use(engine)
    return engine


def _ask_before_use(engine: AsyncEngine) -> None:
    """Ask a connection that wasn't used lately for a sign of life: a restarted database isn't met with a dead one."""
    dialect = engine.dialect

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, proxy: Any) -> None:
        used = record.info.get(USED)
        recent = used is None or time.monotonic() - used < TRUSTED_SECONDS  # None: opened just now
        if recent and not _has_input(connection.driver_connection.fileno()):
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as exc:
            if dialect.is_disconnect(exc, connection, None):
                raise InvalidatePoolError from exc  # it opens another one, and asks none of the others
            raise

    @event.listens_for(engine.sync_engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info[USED] = time.monotonic()


def _has_input(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


async def _let_go(connection: AsyncConnection, name: str) -> None:
    try:
        await connection.rollback()
    except DBAPIError as exc:
        log.warning("a lock was lost while it was held", name=name, reason=str(exc.orig))
