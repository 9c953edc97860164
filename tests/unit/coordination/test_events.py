import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vendetta.coordination.events import Events
from vendetta.errors import EventsMissed
from vendetta.models import Event
from vendetta.store import Page, Store, StoreUnavailable


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
async def events(store: Store) -> AsyncIterator[Events]:
    async with Events(store) as events:
        yield events


async def take(count: int, watch: AsyncIterator[Event]) -> list[int]:
    return [(await anext(watch)).sequence for _ in range(count)]


async def test_an_event_says_who_did_what_to_what(events: Events) -> None:
    emitted = await events.emit("node.added", "gpu", "uid:0", address="10.0.0.1")
    assert (emitted.kind, emitted.subject, emitted.actor, emitted.data) == (
        "node.added",
        "gpu",
        "uid:0",
        {"address": "10.0.0.1"},
    )
    assert (await events.list()).items == [emitted]


async def test_watching_from_a_number_gives_what_is_stored_and_then_what_comes(events: Events) -> None:
    for _ in range(3):
        await events.emit("a.b", "x")
    watch = events.watch(1)
    assert await take(2, watch) == [2, 3]
    coming = asyncio.create_task(take(2, watch))
    await events.emit("a.b", "x")
    await events.emit("a.b", "x")
    assert await coming == [4, 5]


async def test_watching_from_now_on_counts_from_the_call(events: Events) -> None:
    await events.emit("a.b", "before")
    watch = events.watch()
    await events.emit("a.b", "after")
    assert await take(1, watch) == [2]


async def test_now_is_after_what_an_earlier_process_stored(store: Store) -> None:
    async with Events(store) as events:
        await events.emit("a.b", "x")
    async with Events(store) as events:
        watch = events.watch()
        await events.emit("a.b", "x")
        assert await take(1, watch) == [2]


async def test_every_watcher_gets_every_event_once_in_order_however_many_emit(events: Events) -> None:
    watchers = [asyncio.create_task(take(40, events.watch())) for _ in range(3)]
    late = events.watch(0)
    await asyncio.gather(*(events.emit("a.b", str(number)) for number in range(40)))
    for watcher in watchers:
        assert await watcher == list(range(1, 41))
    assert await take(40, late) == list(range(1, 41))


async def test_leaving_ends_the_watchers_after_what_is_stored(store: Store) -> None:
    async with Events(store) as events:
        waiting = asyncio.create_task(take_all(events.watch()))
        behind = events.watch(0)
        await events.emit("a.b", "x")
    assert await waiting == [1]
    assert await take_all(behind) == [1]


async def test_old_events_are_forgotten_as_new_ones_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendetta.coordination.events.PRUNE_EVERY", 4)
    async with Events(store, keep=2) as events:
        for _ in range(4):
            await events.emit("a.b", "x")
        assert [event.sequence for event in (await events.list()).items] == [3, 4]


async def take_all(watch: AsyncIterator[Event]) -> list[int]:
    return [event.sequence async for event in watch]


async def test_a_watcher_is_told_what_it_missed_and_goes_on(store: Store) -> None:
    async with Events(store, recent=2) as events:
        watch = events.watch()
        await events.emit("a.b", "first")
        assert (await anext(watch)).subject == "first"
        for _ in range(9):
            await events.emit("a.b", "x")
        await store.events.prune(keep=2)
        missed = await anext(watch)
        assert (missed.kind, missed.sequence, missed.data) == ("events.missed", 8, {"from": 2, "to": 8})
        assert await take(2, watch) == [9, 10]


async def test_what_is_still_in_memory_is_not_missed(store: Store, events: Events) -> None:
    watch = events.watch()
    await events.emit("a.b", "first")
    assert await take(1, watch) == [1]
    for _ in range(9):
        await events.emit("a.b", "x")
    await store.events.prune(keep=2)
    assert await take(9, watch) == list(range(2, 11))


async def test_what_is_pruned_just_after_it_was_read_is_not_missed(
    store: Store, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10):
        await events.emit("a.b", "x")
    await store.events.prune(keep=5)
    read = store.events.list

    async def read_and_prune(since: int = 0, limit: int = 100) -> Page[Event]:
        page = await read(since, limit)
        await store.events.prune(keep=2)
        return page

    monkeypatch.setattr(store.events, "list", read_and_prune)
    watch = events.watch(3)
    missed = await anext(watch)
    assert (missed.kind, missed.sequence, missed.data) == ("events.missed", 5, {"from": 4, "to": 5})
    assert await take(5, watch) == [6, 7, 8, 9, 10]


async def test_who_asks_for_what_is_not_kept_is_told_where_to_go_on(store: Store, events: Events) -> None:
    for _ in range(10):
        await events.emit("a.b", "x")
    await store.events.prune(keep=2)
    with pytest.raises(EventsMissed) as caught:
        await events.list(since=3)
    assert (caught.value.message, caught.value.details) == ("events 4 to 8 are not kept any more", {"forgotten": 8})
    for since in (0, 8):
        assert [event.sequence for event in (await events.list(since=since)).items] == [9, 10]
    assert await take(2, events.watch(0)) == [9, 10]


async def test_a_number_above_the_newest_counts_from_there(
    store: Store, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the state was restored to an earlier one."""
    begun = asyncio.Event()
    read = store.events.list

    async def tell_and_read(since: int = 0, limit: int = 100) -> Page[Event]:
        begun.set()
        return await read(since, limit)

    monkeypatch.setattr(store.events, "list", tell_and_read)
    await events.emit("a.b", "x")
    reading = asyncio.create_task(take(1, events.watch(500)))
    await begun.wait()
    await events.emit("a.b", "x")
    assert await reading == [2]


async def test_a_watcher_survives_a_store_that_fails_for_a_while(
    store: Store, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vendetta.coordination.events.PAUSE_SECONDS", 0.01)
    read, failures = store.events.list, 3

    async def fail_for_a_while(since: int = 0, limit: int = 100) -> Page[Event]:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreUnavailable("the database is gone")
        return await read(since, limit)

    monkeypatch.setattr(store.events, "list", fail_for_a_while)
    await events.emit("a.b", "x")
    assert await take(1, events.watch(0)) == [1]
