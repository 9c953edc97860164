"""On PostgreSQL news are heard a moment later, from whichever server; a long one says only that it is there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy import event as hooks

from vendetta.coordination.events import Events
from vendetta.models import Event
from vendetta.store import Store

PATIENCE_SECONDS = 60
OTHER = "other"


@pytest.fixture
async def other(store: Store, state_file: str) -> AsyncIterator[Store]:
    """That of another server."""
    async with Store.open(f"{state_file}?application_name={OTHER}") as other:
        yield other


@pytest.fixture
def reads(other: Store) -> Iterator[Counter[str]]:
    """How often the other server read events."""
    counted: Counter[str] = Counter()

    def count(connection: Connection, cursor: object, statement: str, *more: object) -> None:
        if connection.engine.url.query["application_name"] == OTHER:
            counted["events"] += statement.startswith("SELECT events.")

    hooks.listen(Engine, "before_cursor_execute", count)
    yield counted
    hooks.remove(Engine, "before_cursor_execute", count)


async def take(count: int, watch: AsyncIterator[Event]) -> list[Event]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [await anext(watch) for _ in range(count)]


async def test_a_watcher_who_keeps_up_with_two_servers_reads_nothing(
    store: Store, other: Store, reads: Counter[str]
) -> None:
    async with Events(store) as here, Events(other) as there:
        watch = there.watch()
        first = await here.emit("a.b", "first")
        assert await take(1, watch) == [first]
        reads.clear()
        for number in range(10):
            event = await (here, there)[number % 2].emit("a.b", "x", number=number, text="ü\n", none=None, part=0.5)
            assert await take(1, watch) == [event]
        await asyncio.gather(*((here, there)[number % 2].emit("a.b", "y", number=number) for number in range(40)))
        told = await take(40, watch)
        assert reads["events"] == 0
        assert told == (await here.list(since=event.sequence)).items


async def test_one_that_is_too_long_for_the_news_is_read_and_then_nothing_more(
    store: Store, other: Store, reads: Counter[str]
) -> None:
    async with Events(store) as here, Events(other) as there:
        watch = there.watch()
        await here.emit("a.b", "first")
        await take(1, watch)
        reads.clear()
        long = await here.emit("a.b", "x", text="ü" * 5_000)
        assert await take(1, watch) == [long]
        assert reads["events"] == 1
        short = await here.emit("a.b", "x", text="x" * 5_000)
        assert await take(1, watch) == [short]
        assert reads["events"] == 1


async def test_after_the_news_were_cut_off_it_is_read_what_was_missed(
    store: Store, other: Store, reads: Counter[str]
) -> None:
    async with Events(store) as here, Events(other) as there:
        watch = there.watch()
        await here.emit("a.b", "first")
        await take(1, watch)
        silent = other.news._listening
        assert silent
        silent.cancel()  # nothing is heard, as where the connection is cut
        await asyncio.gather(silent, return_exceptions=True)
        unheard = [await here.emit("a.b", "unheard") for _ in range(3)]
        await other.news.__aenter__()
        assert await take(3, watch) == unheard
        reads.clear()
        heard = await here.emit("a.b", "heard")
        assert await take(1, watch) == [heard]
        more = await here.emit("a.b", "heard")
        assert await take(1, watch) == [more]
        assert reads["events"] == 0
