import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.unit.store.slow_disk import SlowDisk

from vendetta.store import group_commit
from vendetta.store.connection import after_commit
from vendetta.store.sqlite import Sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Sqlite]:
    database = Sqlite(str(path))
    async with database.write(in_time=True) as connection:
        await connection.execute(text("CREATE TABLE t (a)"))
    yield database
    await database.close()


async def read(database: Sqlite) -> list[int]:
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT a FROM t"))).scalars())


async def write(database: Sqlite, value: int, told: list[int] | None = None) -> None:
    async with database.write(in_time=True) as connection:
        await connection.execute(text("INSERT INTO t VALUES (:value)"), {"value": value})
        if told is not None:
            after_commit(connection, lambda: told.append(value))


async def test_one_that_is_locked_by_another_process_is_waited_for_while_the_loop_goes_on(
    database: Sqlite, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(write(database, 1))
        await asyncio.sleep(3 * group_commit.BUSY_PAUSE_SECONDS)
        assert not writing.done()
        assert await read(database) == []
        other.execute("COMMIT")
        await asyncio.wait_for(writing, 30)
    assert await read(database) == [1]


async def test_one_that_stays_locked_is_given_up(database: Sqlite, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"):
            await write(database, 1)
    await write(database, 2)
    assert await read(database) == [2]


async def test_a_commit_is_brought_to_its_end_and_told_whoever_is_cancelled(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    disk = SlowDisk()
    monkeypatch.setattr(sqlite3, "connect", disk.connect)
    database = Sqlite(str(path))
    async with database.write(in_time=True) as connection:
        await connection.execute(text("CREATE TABLE t (a)"))
    disk.hold()
    writing = asyncio.create_task(write(database, 1, told))
    assert await asyncio.to_thread(disk.committing.wait, 30)
    writing.cancel()
    await asyncio.sleep(0)
    assert not writing.done()
    disk.go.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (await read(database), told) == ([1], [1])
    await database.close()


async def test_what_could_not_be_committed_is_undone_and_told_to_nobody(database: Sqlite) -> None:
    told: list[int] = []
    async with database.write(in_time=True) as connection:
        await connection.execute(text("CREATE TABLE child (a REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)"))
        await connection.execute(text("CREATE UNIQUE INDEX i ON t (a)"))
    with pytest.raises(Exception, match="FOREIGN KEY constraint failed"):
        await orphan(database, told)
    await write(database, 2)
    assert (await read(database), told) == ([2], [])


async def orphan(database: Sqlite, told: list[int]) -> None:
    async with database.write(in_time=True) as connection:
        # what makes a commit fail; it can only be switched between transactions
        await connection.execute(text("COMMIT"))
        await connection.execute(text("PRAGMA foreign_keys=ON"))
        await connection.execute(text("BEGIN IMMEDIATE"))
        await connection.execute(text("INSERT INTO child VALUES (7)"))
        after_commit(connection, lambda: told.append(7))
