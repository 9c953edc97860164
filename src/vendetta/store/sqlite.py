"""SQLite: one connection that reads, one that writes. Statements are executed in the event loop, commits in a thread.

A statement takes some tens of microseconds, of which a way into a thread and back takes four times as much, so it
isn't sent there: it can't be cut off in the middle either. What waits for the disk is the commit. Who may write when,
and what is committed together, is `group_commit.py`'s.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Dialect, Executable, NullPool, create_engine

from vendetta.errors import InvalidInput

from .connection import JSON, Connection
from .group_commit import BUSY_SECONDS, GroupCommit

T = TypeVar("T")


class LocalConnection:
    """Stand in for `AsyncConnection`, on a connection that answers at once."""

    def __init__(self, connection: SyncConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    @property
    def info(self) -> dict[Any, Any]:
        return self._connection.info

    async def execute(self, statement: Executable, parameters: Any = None, /) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def run_sync(self, act: Callable[..., T], /, *arguments: Any) -> T:
        return act(self._connection, *arguments)


class Sqlite:
    """Give connections to the file at `path`, made where it isn't there. Raises `InvalidInput` where it can't be."""

    def __init__(self, path: str) -> None:
        try:
            make_private_file(Path(path))
        except OSError as exc:
            raise InvalidInput(f"can't open state_file {path}: {exc.strerror}") from exc
        self._engine = create_engine(
            "sqlite://", creator=partial(_connect, path), poolclass=NullPool, hide_parameters=True, **JSON
        )
        self._reader: SyncConnection | None = None
        self._writer: SyncConnection | None = None
        self._writers: GroupCommit | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Give the connection that reads: each statement sees what is committed by then."""
        self._reader = self._reader or self._engine.connect()
        yield LocalConnection(self._reader)

    def write(self, *, in_time: bool) -> AbstractAsyncContextManager[Connection]:
        """Begin a transaction: see `GroupCommit`. `in_time` changes nothing: SQLite has limits of its own."""
        if self._writers is None:
            self._writer = self._engine.connect()
            driver = cast(sqlite3.Connection, self._writer.connection.dbapi_connection)
            driver.execute("PRAGMA busy_timeout=0")
            self._writers = GroupCommit(LocalConnection(self._writer), driver)
        return self._writers.transaction()

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Do nothing: there is no other process to be locked out."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            yield

    async def close(self) -> None:
        if self._writers:
            await self._writers.close()
        for connection in (self._reader, self._writer):
            if connection:
                connection.close()
        self._reader = self._writer = self._writers = None


def make_private_file(path: Path) -> None:
    """Make an empty file that its owner alone can read; its folder is the owner's alone too where it had to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _connect(path: str) -> sqlite3.Connection:
    """Connect in autocommit: a transaction begins where a statement begins it."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection
