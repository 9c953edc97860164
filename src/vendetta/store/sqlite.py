"""SQLite's connections: one visit to a connection's thread for each statement, where aiosqlite makes four.

On each the event loop has to come round again, which takes its time while a thousand nodes log in; and a writer that
waits for it keeps all the others waiting. What is relied on of aiosqlite is its way into the thread, which is private:
the tests of the store hold it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import aiosqlite


async def connect(path: str, *, busy_seconds: float) -> aiosqlite.Connection:
    """In autocommit: a transaction begins where somebody says so."""
    connection = Connection(partial(sqlite3.connect, path, isolation_level=None, timeout=busy_seconds), 1)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with those that it makes itself
    return await connection


class Connection(aiosqlite.Connection):
    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        # one counts in the loop, the other in the thread, so that neither misses what the other counts
        self._begun = 0
        self._ended = 0

    def cursor(self) -> "Cursor":  # type: ignore[override]
        return Cursor(self)

    async def rollback(self) -> None:
        """SQLAlchemy rolls back whatever it gives back to its pool, also what only read.

        A statement whose caller was cancelled may still be under way, and begin a transaction.
        """
        if self._begun != self._ended or self.in_transaction:
            await super().rollback()

    async def visit(self, act: Callable[[sqlite3.Connection], None]) -> None:
        """Runs it in the connection's thread, to its end whoever waits for it."""

        def run(connection: sqlite3.Connection) -> None:
            try:
                act(connection)
            finally:
                self._ended += 1

        self._begun += 1
        await self._execute(run, self._conn)  # type: ignore[no-untyped-call]


class Cursor:
    """What SQLAlchemy uses of an aiosqlite cursor. It executes, is read and closed in one go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> None:
        await self._connection.visit(lambda connection: self._keep(connection.execute(sql, tuple(parameters))))

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> None:
        await self._connection.visit(lambda connection: self._keep(connection.executemany(sql, parameters)))

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        """It is closed already."""

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else ()
        # of a statement that returns rows, known once they are read
        self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid
        cursor.close()
