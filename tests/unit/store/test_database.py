import asyncio

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from vendetta.errors import InvalidInput
from vendetta.store import Store
from vendetta.store.database import Database
from vendetta.store.tables import properties


async def increment(database: Database) -> None:
    async with database.write() as connection:
        value = int((await connection.execute(select(properties.c.value).with_for_update())).scalar_one())
        await connection.execute(update(properties).values(value=str(value + 1)))


async def write_twice(database: Database) -> None:
    async with database.write() as connection:
        for _ in range(2):
            await connection.execute(insert(properties).values(name="x", value="y"))


async def test_concurrent_read_modify_writes_lose_none(store: Store, state_file: str) -> None:
    """Two databases on one file stand for two processes: the lock within one doesn't help the other."""
    mine, other = Database(state_file), Database(state_file)
    try:
        async with mine.write() as connection:
            await connection.execute(properties.delete())
            await connection.execute(insert(properties).values(name="counter", value="0"))
        await asyncio.gather(*(increment(database) for database in (mine, other) for _ in range(200)))
        async with mine.read() as connection:
            assert (await connection.execute(select(properties.c.value))).scalar_one() == "400"
    finally:
        await mine.close()
        await other.close()


async def test_a_transaction_that_raises_writes_nothing(state_file: str, store: Store) -> None:
    database = Database(state_file)
    try:
        with pytest.raises(IntegrityError):
            await write_twice(database)
        async with database.read() as connection:
            names = (await connection.execute(select(properties.c.name))).scalars().all()
    finally:
        await database.close()
    assert names == ["server_id"]


async def test_what_is_exclusive_by_name_never_overlaps(store: Store, state_file: str) -> None:
    """Also between two servers, where there may be two."""
    inside, most = 0, 0

    async def enter(database: Database, name: str) -> None:
        nonlocal inside, most
        async with database.exclusive(name):
            inside += 1
            most = max(most, inside)
            async with database.read() as connection:
                await connection.execute(select(properties))
            inside -= 1

    mine, other = Database(state_file), Database(state_file)
    servers = [mine, other] if mine.shared else [mine]
    try:
        await asyncio.gather(*(enter(database, "x") for database in servers for _ in range(20)))
        assert most == 1
        async with mine.exclusive("x"), asyncio.timeout(30):
            await enter(other, "y")
    finally:
        await mine.close()
        await other.close()


@pytest.mark.parametrize(
    ("location", "message"),
    [("mysql://host/name", '"mysql" URL'), ("://", "no URL"), ("/dev/null/state.db", "/dev/null/state.db")],
)
def test_a_place_that_cannot_be_used_is_told(location: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Store.open(location)
