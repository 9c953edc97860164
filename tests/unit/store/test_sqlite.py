import asyncio
import sqlite3
from pathlib import Path

import pytest

from vendetta.store.sqlite import connect


async def test_a_statement_is_read_in_one_go(tmp_path: Path) -> None:
    connection = await connect(str(tmp_path / "a.db"), busy_seconds=1)
    try:
        cursor = await connection.cursor().__aenter__()
        await cursor.execute("CREATE TABLE t (a)")
        assert cursor.description is None
        await cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        assert cursor.rowcount == 2
        await cursor.execute("UPDATE t SET a = a + ? RETURNING a", (10,))
        assert (list(await cursor.fetchall()), cursor.rowcount) == ([(11,), (12,)], 2)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await cursor.execute("SELECT * FROM absent")
    finally:
        await connection.close()


async def test_a_transaction_that_begins_late_is_rolled_back_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    other = sqlite3.connect(path, isolation_level=None)
    connection = await connect(str(path), busy_seconds=30)
    try:
        other.execute("BEGIN IMMEDIATE")
        beginning = asyncio.create_task(connection.cursor().execute("BEGIN IMMEDIATE"))
        await asyncio.sleep(0)  # it is on its way into the thread
        beginning.cancel()
        rolling_back = asyncio.create_task(connection.rollback())
        await asyncio.sleep(0)
        other.execute("COMMIT")
        await rolling_back
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    finally:
        await connection.close()
        other.close()
