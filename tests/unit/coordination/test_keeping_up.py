"""Who keeps up with the events reads nothing, and is given what is stored."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as hooks

from vendetta.coordination.events import Events
from vendetta.models import Event
from vendetta.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
def statements(store: Store) -> Iterator[Counter[str]]:
    """How many were executed that begin with each word."""
    counted: Counter[str] = Counter()

    def count(connection: object, cursor: object, statement: str, *more: object) -> None:
        counted[statement.split()[0]] += 1

    hooks.listen(Engine, "before_cursor_execute", count)
    yield counted
    hooks.remove(Engine, "before_cursor_execute", count)


async def take(count: int, watch: AsyncIterator[Event]) -> list[Event]:
    return [await anext(watch) for _ in range(count)]


async def test_watchers_who_keep_up_read_nothing(store: Store, statements: Counter[str]) -> None:
    async with Events(store) as events:
        watchers = [events.watch(), events.watch(0), events.watch()]
        first = await events.emit("a.b", "first")
        assert [await anext(watch) for watch in watchers] == [first] * 3
        statements.clear()
        for number in range(20):
            waiting = [asyncio.ensure_future(anext(watch)) for watch in watchers]
            event = await events.emit("a.b", "x", number=number, list=[1, {"a": None}])
            assert await asyncio.gather(*waiting) == [event] * 3
        burst = [await events.emit("a.b", "x", number=number) for number in range(50)]
        assert [await take(50, watch) for watch in watchers] == [burst] * 3
        assert statements["SELECT"] == 0
        assert statements["INSERT"] == 70


async def test_who_is_behind_reads_until_it_has_caught_up(store: Store, statements: Counter[str]) -> None:
    async with Events(store, recent=5) as events:
        watch = events.watch()
        await events.emit("a.b", "x")
        await take(1, watch)
        for _ in range(10):
            await events.emit("a.b", "x")
        statements.clear()
        assert [event.sequence for event in await take(10, watch)] == list(range(2, 12))
        assert statements["SELECT"] == 1
        await events.emit("a.b", "x")
        assert [event.sequence for event in await take(1, watch)] == [12]
        assert statements["SELECT"] == 1


async def test_what_is_given_from_memory_is_what_is_stored(store: Store) -> None:
    async with Events(store) as events:
        watch = events.watch()
        await events.emit("a.b", "x")
        await take(1, watch)
        data: dict[str, Any] = {"when": {"at": 1.5}, "list": ["ü"]}
        await events.emit("a.b", "x", **data)
        data["list"].append("changed by who told it")
        [told] = await take(1, watch)
        assert told.data == {"when": {"at": 1.5}, "list": ["ü"]}
        assert (await events.list(since=1)).items == [told]
