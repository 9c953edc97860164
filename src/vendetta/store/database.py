"""One database: SQLite in a private file, or PostgreSQL by URL. Owns what a transaction and a lock is.

On SQLite a writer begins with `BEGIN IMMEDIATE`: what it reads is still true when it writes. Writers of this process
take turns on a lock, because SQLite's own waiting sleeps; `busy_timeout` is for writers of other processes.

On PostgreSQL writers run side by side and each statement sees what is committed by then: what one reads so as to write
it again is read `with_for_update()`, which on SQLite says nothing.

A database that can't be used just now (locked by others, gone, its disk full) is `StoreUnavailable`, not an error of
whoever asked: the same again succeeds once it is back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.ext.asyncio import AsyncConnection

from vendetta.errors import ServerUnavailable

from .connections import build_engine, build_lock_engine

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

TURN_SECONDS = 10.0
"""How long a writer waits for those of its own process before it says that the database is stuck."""

ANSWER_SECONDS = 15.0
"""How long PostgreSQL may take for what is read or written at once before it counts as gone."""

_AFTER = "what to do after the commit"


class StoreUnavailable(ServerUnavailable):
    """The database can't be used just now: locked by others, full, or gone. The same again may succeed."""


def is_shared(connection: AsyncConnection) -> bool:
    """Whether processes on other machines may use its database too."""
    return connection.dialect.name != "sqlite"


def after_commit(connection: AsyncConnection, act: Callable[[], None]) -> None:
    """`act` is called once the transaction that `write` gave is committed, and only then."""
    connection.info[_AFTER].append(act)


async def hold(connection: AsyncConnection, name: str) -> None:
    """From here to the end of its transaction, no other one holds `name`. On SQLite there is no other one."""
    if is_shared(connection):
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


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
        self._engine = build_engine(location)
        self.trouble: str | None = None
        """Why the last use failed, until something is written again."""
        self._turn = asyncio.Lock()
        self._lock_engine = build_lock_engine(location) if self.shared else None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def shared(self) -> bool:
        """Whether processes on other machines may use it too."""
        return self._engine.dialect.name != "sqlite"

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """For statements that need no transaction. Raises `StoreUnavailable`."""
        with self._noticing_trouble():
            async with self._in_time(), self._engine.connect() as connection:
                if self.shared:
                    # which spares two of its three ways to the database
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                yield connection

    @asynccontextmanager
    async def write(self, *, in_time: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction: all of it when the block ends, nothing of it when the block raises.

        Raises `StoreUnavailable`, also where it takes too long, unless it is one that may: not `in_time`.
        """
        with self._noticing_trouble():
            async with self._in_time(in_time), self._taking_turns(), self._engine.connect() as connection:
                await connection.execution_options(writes=True)
                after: list[Callable[[], None]] = []
                connection.info[_AFTER] = after
                try:
                    yield connection
                except BaseException:
                    await connection.rollback()
                    raise
                await connection.commit()
                self._well()
        for act in after:
            act()

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[None]:
        """The block runs for one caller at a time, among all processes on this database. Raises `StoreUnavailable`.

        For a short while, and not within another one. A process that dies, or is stopped for as long as
        `connections.IDLE_SECONDS`, lets go of it.
        """
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if self._lock_engine is None:
                yield
                return
            async with AsyncExitStack() as stack:
                with self._noticing_trouble():
                    async with self._in_time():
                        connection = await stack.enter_async_context(self._lock_engine.connect())
                        await hold(connection, f"exclusive {name}")
                try:
                    yield
                finally:
                    await _let_go(connection, name)

    async def connect_alone(self) -> "psycopg.AsyncConnection":
        """A connection of PostgreSQL outside of every pool, each statement a transaction. Raises `psycopg.Error`."""
        from psycopg import AsyncConnection as Connection

        _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        return await Connection.connect(**arguments, autocommit=True)

    async def close(self) -> None:
        await self._engine.dispose()
        if self._lock_engine:
            await self._lock_engine.dispose()

    def _in_time(self, limited: bool = True) -> asyncio.Timeout:
        """SQLite has limits of its own, and can't be interrupted."""
        return asyncio.timeout(ANSWER_SECONDS if self.shared and limited else None)

    @asynccontextmanager
    async def _taking_turns(self) -> AsyncIterator[None]:
        if self.shared:
            yield
            return
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise self._unavailable("it is busy with what was asked before") from exc
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _noticing_trouble(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise self._unavailable("it doesn't answer") from exc
        except NoneFree as exc:
            raise self._unavailable("all connections to it are in use") from exc
        except (OperationalError, InterfaceError) as exc:
            raise self._unavailable(_short(exc), " ".join(str(exc.orig).split())) from exc

    def _unavailable(self, reason: str, details: str = "") -> StoreUnavailable:
        details = details or reason
        if self.trouble != details:
            log.warning("the database can't be used", reason=details)
        self.trouble = details
        return StoreUnavailable(
            f"the server can't use its database: {reason}",
            hint="Try again: it goes on by itself once the database answers. `vendetta server logs` says more.",
        )

    def _well(self) -> None:
        if self.trouble:
            log.info("the database can be used again")
        self.trouble = None


def _short(error: DBAPIError) -> str:
    """For anybody who asks; who and where the database is stays in the log."""
    cause = error.orig
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is None:
        return str(cause)
    return diagnosis.message_primary or "PostgreSQL can't be reached"


async def _let_go(connection: AsyncConnection, name: str) -> None:
    try:
        await connection.rollback()
    except DBAPIError as exc:
        log.warning("a lock was lost while it was held", name=name, reason=str(exc.orig))
