"""One database: SQLite in a private file, or PostgreSQL by URL. Owns what a transaction is, and an outage.

On SQLite a writer begins with `BEGIN IMMEDIATE`: what it reads is still true when it writes. On PostgreSQL writers run
side by side and each statement sees what is committed by then: what one reads so as to write it again is read
`with_for_update()`, which on SQLite says nothing.

A database that can't be used just now (locked by others, gone, its disk full) is `StoreUnavailable`, not an error of
whoever asked: the same again succeeds once it is back.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Protocol

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from vendetta.errors import ServerUnavailable

from .connection import Backend, Connection
from .postgresql import Postgresql
from .sqlite import Sqlite

log = structlog.get_logger(__name__)


class StoreUnavailable(ServerUnavailable):
    """Raised where the database can't be used just now: locked by others, full, or gone. The same again may succeed."""


class Access(Protocol):
    """Give connections to a database, or to one transaction of it."""

    def read(self) -> AbstractAsyncContextManager[Connection]: ...

    def write(self) -> AbstractAsyncContextManager[Connection]: ...


class Joined:
    """Take part in a transaction that somebody else has begun, and ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        yield self._connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        yield self._connection


class Database:
    """Read and write one database: `location` is the path of a SQLite file, or a `postgresql://` URL.

    Raises `InvalidInput` for a location that can't be used.
    """

    def __init__(self, location: str) -> None:
        self.postgresql = Postgresql(location) if "://" in location else None
        self._backend: Backend = self.postgresql or Sqlite(location)
        self.trouble: str | None = None
        """Why the last use failed, until something is written again."""

    @property
    def shared(self) -> bool:
        """Return whether processes on other machines may use it too."""
        return self.postgresql is not None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Give a connection for statements that need no transaction. Raises `StoreUnavailable`."""
        with self._noticing_trouble():
            async with self._backend.read() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, *, in_time: bool = True) -> AsyncIterator[Connection]:
        """Begin a transaction: it is committed when the block ends, and undone when the block raises.

        The block waits for nothing but the connection: on SQLite others wait for it, also those that have ended theirs.
        Raises `StoreUnavailable`, also where it takes too long; on PostgreSQL `in_time=False` allows it any time.
        """
        with self._noticing_trouble():
            async with self._backend.write(in_time=in_time) as connection:
                yield connection
            self._well()

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[None]:
        """Run the block for one caller at a time, among all processes on this database. Raises `StoreUnavailable`.

        For a short while, and not within another one. A process that dies, or is stopped for as long as
        `postgresql.IDLE_SECONDS`, lets go of it.
        """
        async with AsyncExitStack() as stack:
            with self._noticing_trouble():
                await stack.enter_async_context(self._backend.lock(name))
            yield

    async def close(self) -> None:
        await self._backend.close()

    @contextmanager
    def _noticing_trouble(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise self._unavailable(str(exc) or "it doesn't answer") from exc
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
    """Describe the error to anybody who asks; who and where the database is stays in the log."""
    cause = error.orig
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is None:
        return str(cause)
    return diagnosis.message_primary or "PostgreSQL can't be reached"
