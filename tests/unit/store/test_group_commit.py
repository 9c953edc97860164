"""Writers of one SQLite file at once, over a disk that is made to wait and to fail."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from tests.unit.store.slow_disk import SlowDisk

from vendetta.store import group_commit
from vendetta.store.connection import Connection, after_commit
from vendetta.store.sqlite import Sqlite


@asynccontextmanager
async def opened(disk: SlowDisk, folder: Path) -> AsyncIterator[Sqlite]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", disk.connect)
        database = Sqlite(str(folder / "a.db"))
        async with database.write(in_time=True) as connection:
            await connection.execute(text("CREATE TABLE t (a UNIQUE, b)"))
        disk.commits = 0
        yield database
        await database.close()


@pytest.fixture
def disk() -> SlowDisk:
    return SlowDisk()


@pytest.fixture
async def database(disk: SlowDisk, tmp_path: Path) -> AsyncIterator[Sqlite]:
    async with opened(disk, tmp_path) as database:
        yield database


async def values(connection: Connection) -> list[int]:
    return list((await connection.execute(text("SELECT a FROM t ORDER BY rowid"))).scalars())


async def read(database: Sqlite) -> list[int]:
    async with database.read() as connection:
        return await values(connection)


async def insert(connection: Connection, value: int, size: int = 0) -> None:
    await connection.execute(text("INSERT INTO t VALUES (:a, :b)"), {"a": value, "b": "x" * size})


async def write(database: Sqlite, value: int, told: list[int], size: int = 0) -> None:
    async with database.write(in_time=True) as connection:
        after_commit(connection, lambda: told.append(value))
        await insert(connection, value, size)
    assert value in told


async def behind_a_commit(disk: SlowDisk, *writers: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    """The first of them is held in its commit, the others have queued up."""
    disk.hold()
    tasks = [asyncio.create_task(writers[0])]
    assert await asyncio.to_thread(disk.committing.wait, 30)
    tasks += [asyncio.create_task(writer) for writer in writers[1:]]
    await asyncio.sleep(0)
    return tasks


async def settle(disk: SlowDisk, tasks: list[asyncio.Task[None]]) -> list[BaseException | None]:
    disk.go.set()
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)


async def test_those_that_wait_for_the_disk_at_once_are_committed_once_and_told_in_order(
    database: Sqlite, disk: SlowDisk
) -> None:
    told: list[int] = []
    tasks = await behind_a_commit(disk, *(write(database, n, told) for n in range(10)))
    assert (await read(database), told) == ([], [])
    assert await settle(disk, tasks) == [None] * 10
    assert (told, await read(database), disk.commits) == (list(range(10)), list(range(10)), 2)


async def test_so_many_and_no_more_share_a_commit(
    database: Sqlite, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LARGEST", 3)
    tasks = await behind_a_commit(disk, *(write(database, n, []) for n in range(8)))
    await settle(disk, tasks)
    assert (await read(database), disk.commits) == (list(range(8)), 1 + 3)


async def test_one_that_raises_is_undone_alone(database: Sqlite, disk: SlowDisk) -> None:
    told: list[int] = []

    async def fail() -> None:
        async with database.write(in_time=True) as connection:
            after_commit(connection, lambda: told.append(-1))
            await insert(connection, 7)
            raise LookupError

    tasks = await behind_a_commit(disk, write(database, 1, told), write(database, 2, told), fail(), fail())
    tasks.append(asyncio.create_task(write(database, 3, told)))
    ended = await settle(disk, tasks)
    assert [type(one) for one in ended] == [type(None), type(None), LookupError, LookupError, type(None)]
    assert (await read(database), told, disk.commits) == ([1, 2, 3], [1, 2, 3], 2)


async def test_what_made_one_raise_can_be_read_once_it_has(database: Sqlite, disk: SlowDisk) -> None:
    """Who is told that a name is taken, by another of its group, finds it."""

    async def find(value: int) -> None:
        with pytest.raises(IntegrityError):
            await write(database, value, [])
        assert value in await read(database)

    tasks = await behind_a_commit(disk, write(database, 1, []), write(database, 2, []), find(2))
    assert await settle(disk, tasks) == [None] * 3


async def test_a_commit_that_fails_fails_all_of_its_group(database: Sqlite, disk: SlowDisk) -> None:
    told: list[int] = []
    tasks = await behind_a_commit(disk, *(write(database, n, told) for n in (1, 1, 2)))
    disk.fails = True
    assert [type(one) for one in await settle(disk, tasks)] == [OperationalError] * 3
    disk.fails = False
    await write(database, 3, told)
    assert (await read(database), told) == ([3], [3])


async def test_a_full_disk_leaves_nothing_half_written(database: Sqlite, disk: SlowDisk) -> None:
    """SQLite may undo the whole transaction then, or the statement."""
    told: list[int] = []
    async with database.write(in_time=True) as connection:
        await connection.execute(text("PRAGMA max_page_count=20"))
    tasks = await behind_a_commit(disk, *(write(database, n, told, size) for n, size in enumerate((1, 1, 10**6, 1))))
    ended = await settle(disk, tasks)
    assert "disk is full" in str(ended[2])
    kept = [number for number, one in enumerate(ended) if one is None]
    assert (await read(database), told) == (kept, kept)
    assert {0, 3} <= set(kept)


async def test_what_the_database_has_undone_for_all_of_a_group_is_told_to_all_of_it(
    database: Sqlite, disk: SlowDisk
) -> None:
    told: list[int] = []

    async def lose() -> None:
        async with database.write(in_time=True) as connection:
            await connection.execute(text("ROLLBACK"))

    tasks = await behind_a_commit(disk, write(database, 1, told), write(database, 2, told), lose())
    tasks.append(asyncio.create_task(write(database, 3, told)))
    ended = await settle(disk, tasks)
    assert [type(one) for one in ended] == [type(None), OperationalError, OperationalError, type(None)]
    assert (await read(database), told) == ([1, 3], [1, 3])


async def test_one_that_waits_for_its_turn_too_long_is_told_and_holds_up_nobody(
    database: Sqlite, disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 0.01)
    tasks = await behind_a_commit(disk, write(database, 1, []), write(database, 2, []))
    with pytest.raises(TimeoutError, match="busy with what was asked before"):
        await tasks[1]
    await settle(disk, tasks)
    await write(database, 3, [])
    assert await read(database) == [1, 3]


async def test_one_that_is_cancelled_as_its_turn_comes_passes_it_on(database: Sqlite, disk: SlowDisk) -> None:
    """Also where it is the last, and others wait for the commit."""
    told: list[int] = []
    before = asyncio.Event()

    async def stop_next() -> None:
        async with database.write(in_time=True) as connection:
            after_commit(connection, lambda: told.append(2))
            await insert(connection, 2)
            before.set()
        assert told == [1, 2]

    tasks = await behind_a_commit(disk, write(database, 1, told), stop_next(), write(database, 3, told))
    disk.go.set()
    await before.wait()
    # woken after the block that has just ended, in one turn of the loop with the next, which has its turn but no more
    tasks[2].cancel()
    ended = await settle(disk, tasks)
    assert [type(one) for one in ended] == [type(None), type(None), asyncio.CancelledError]
    assert (await read(database), told) == ([1, 2], [1, 2])


@pytest.mark.parametrize("before", [1, 3])
async def test_who_closes_waits_for_what_is_being_written_and_who_waits_behind_is_told(
    database: Sqlite, disk: SlowDisk, tmp_path: Path, before: int
) -> None:
    told: list[int] = []
    writers = [write(database, number, told) for number in range(before)]
    ended = await settle(disk, await behind_a_commit(disk, *writers, database.close(), write(database, 9, told)))
    assert (ended[:-1], type(ended[-1]).__name__) == ([None] * (before + 1), "ProgrammingError")
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        assert [row[0] for row in other.execute("SELECT a FROM t")] == told == list(range(before))


@dataclass(frozen=True, slots=True)
class Writer:
    """How often it gives way before it begins, and before each of its rows; what becomes of it."""

    before: int
    pauses: list[int]
    raises: bool
    cancelled_after: int | None


WRITERS = st.lists(
    st.builds(
        Writer,
        before=st.integers(0, 6),
        pauses=st.lists(st.integers(0, 3), max_size=3),
        raises=st.booleans(),
        cancelled_after=st.none() | st.integers(0, 12),
    ),
    max_size=12,
)


class Refused(Exception):
    pass


async def give_way(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


class Crowd:
    """Writers at once. Each row carries a number that no other has; `told` is what was told, in order."""

    def __init__(self, database: Sqlite) -> None:
        self._database = database
        self.told: list[int] = []

    async def write(self, number: int, writer: Writer) -> None:
        await give_way(writer.before)
        rows = [number * 10 + place for place in range(len(writer.pauses))]
        async with self._database.write(in_time=True) as connection:
            there = await values(connection)
            assert there[: len(self.told)] == self.told
            for row, pause in zip(rows, writer.pauses, strict=True):
                await give_way(pause)
                await insert(connection, row)
                after_commit(connection, lambda row=row: self.told.append(row))  # type: ignore[misc]
            assert set(await values(connection)) == {*there, *rows}
            if writer.raises:
                raise Refused
        assert set(rows) <= set(self.told)

    async def run(self, writers: list[Writer]) -> list[BaseException | None]:
        tasks = [asyncio.create_task(self.write(number, writer)) for number, writer in enumerate(writers)]
        for turn in range(13):
            for task, writer in zip(tasks, writers, strict=True):
                if writer.cancelled_after == turn:
                    task.cancel()
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)


@given(writers=WRITERS, largest=st.integers(1, 4), fails=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_crowd_of_writers_is_one_after_another_and_all_or_nothing(
    writers: list[Writer], largest: int, fails: bool
) -> None:
    async def run(folder: Path) -> None:
        disk = SlowDisk()
        async with opened(disk, folder) as database:
            disk.fails = fails
            crowd = Crowd(database)
            ended = await crowd.run(writers)
            kept = await read(database)
            assert kept == crowd.told
            for number, (writer, error) in enumerate(zip(writers, ended, strict=True)):
                rows = {row for row in kept if row // 10 == number}
                assert len(rows) in {0, len(writer.pauses)}
                if error is None:
                    assert len(rows) == len(writer.pauses)
                    assert not writer.raises
                    assert not fails
                elif not isinstance(error, asyncio.CancelledError):
                    assert not rows
                    assert isinstance(error, OperationalError if fails else Refused) or (fails and writer.raises)
            disk.fails = False
            await asyncio.wait_for(write(database, 1_000, crowd.told), 30)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_commit, "LARGEST", largest)
        asyncio.run(run(Path(folder)))
