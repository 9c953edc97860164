"""SQLite: one connection that reads, one that writes. Statements are executed in the event loop, commits in a thread.

A statement takes some tens of microseconds, of which a way into a thread and back takes four times as much, so it
isn't sent there: it can't be cut off in the middle either. What waits for the disk is the commit. Writers take turns;
one that finds the file locked by another process tries again until it is free, while the loop goes on.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Dialect, Executable, NullPool, create_engine
from sqlalchemy.exc import OperationalError

from vendetta.errors import InvalidInput

from .connection import JSON, Connection, expect_acts

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a writer waits for those of other processes."""
BUSY_PAUSE_SECONDS = 0.01
TURN_SECONDS = 30.0
"""How long a writer waits for those of its own process before it says that the database is stuck.

Hundreds that are asked for at once on a busy machine take some ten seconds, and are done.
"""


class LocalConnection:
    """What `AsyncConnection` is, for a connection that answers at once."""

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
    """`path` is made where it isn't there. Raises `InvalidInput` where it can't be."""

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
        self._turn = asyncio.Lock()
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """Each statement sees what is committed by then."""
        self._reader = self._reader or self._engine.connect()
        yield LocalConnection(self._reader)

    @asynccontextmanager
    async def write(self, *, in_time: bool) -> AsyncIterator[Connection]:
        """`in_time` or not: SQLite has limits of its own."""
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError as exc:
            raise TimeoutError("it is busy with what was asked before") from exc
        try:
            writer = await self._begin()
            connection = LocalConnection(writer)
            acts = expect_acts(connection)
            try:
                yield connection
            except BaseException:
                _roll_back(writer)
                raise
            await self._commit(writer, acts)
        finally:
            self._turn.release()

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """There is no other process to be locked out."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            yield

    async def close(self) -> None:
        async with self._turn:
            for connection in (self._reader, self._writer):
                if connection:
                    connection.close()
            self._reader = self._writer = None
        self._committer.shutdown(wait=False)

    async def _begin(self) -> SyncConnection:
        if self._writer is None:
            self._writer = self._engine.connect()
            self._writer.exec_driver_sql("PRAGMA busy_timeout=0")
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._writer.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as exc:
                if not _is_busy(exc) or time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(BUSY_PAUSE_SECONDS)
            else:
                return self._writer

    async def _commit(self, writer: SyncConnection, acts: Iterable[Callable[[], None]]) -> None:
        """Brought to its end, and told, whoever is cancelled meanwhile."""
        loop = asyncio.get_running_loop()
        committing = loop.run_in_executor(self._committer, writer.exec_driver_sql, "COMMIT")
        cancelled = False
        while not committing.done():
            try:
                await asyncio.wait([committing])
            except asyncio.CancelledError:
                cancelled = True
        if error := committing.exception():
            _roll_back(writer)
        else:
            for act in acts:
                act()
        if cancelled:
            raise asyncio.CancelledError from error
        if error:
            raise error


def make_private_file(path: Path) -> None:
    """An empty file that its owner alone can read, in a folder that is the owner's too where it had to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def _connect(path: str) -> sqlite3.Connection:
    """In autocommit: a transaction begins where it is said."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


def _roll_back(connection: SyncConnection) -> None:
    driver = connection.connection.dbapi_connection
    # a full disk has rolled it back already
    if driver and driver.in_transaction:
        connection.exec_driver_sql("ROLLBACK")


def _is_busy(error: OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
