import asyncio
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from vendetta.store import Store
from vendetta.store.tables import properties


class Ear:
    """What it heard, in order; None where something may have been missed is not written down, but counted."""

    def __init__(self, store: Store, topic: str) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.missed = asyncio.Event()
        self.end = store.news.listen(topic, self._hear)

    def _hear(self, payload: dict[str, Any] | None) -> None:
        if payload is None:
            self.missed.set()
        else:
            self.heard.put_nowait(payload)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            return await self.heard.get()


async def test_who_listens_to_a_topic_hears_what_is_said_on_it_in_order(store: Store) -> None:
    first, second, other = Ear(store, "nodes"), Ear(store, "nodes"), Ear(store, "operations")
    for number in range(3):
        await store.news.notify("nodes", {"number": number})
    await store.news.notify("operations", {"id": "ü"})
    assert [await ear.next() for ear in (first, second) for _ in range(3)] == [{"number": n} for n in range(3)] * 2
    assert await other.next() == {"id": "ü"}
    assert other.heard.empty()
    first.end()
    await store.news.notify("nodes", {"number": 3})
    await second.next()
    assert first.heard.empty()


async def test_what_is_said_in_a_transaction_is_heard_if_it_is_committed(store: Store) -> None:
    ear = Ear(store, "nodes")
    with pytest.raises(IntegrityError):
        await say_and_fail(store)
    async with store._database.write() as connection:
        await store.news.notify_within(connection, "nodes", {"name": "kept"})
        await connection.execute(insert(properties).values(name="written", value="first"))
    assert await ear.next() == {"name": "kept"}


async def say_and_fail(store: Store) -> None:
    async with store._database.write() as connection:
        await store.news.notify_within(connection, "nodes", {"name": "lost"})
        await connection.execute(insert(properties).values(name="server_id", value="another"))


async def test_a_listener_that_fails_keeps_nothing_from_the_others(store: Store) -> None:
    def fail(payload: object) -> None:
        raise ValueError("mine alone")

    store.news.listen("nodes", fail)
    ear = Ear(store, "nodes")
    await store.news.notify("nodes", {})
    assert await ear.next() == {}
