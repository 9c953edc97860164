"""What is only said of the state in PostgreSQL, where there may be several servers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from tests.unit.store.test_news import Ear

from vendetta.coordination.events import Events
from vendetta.errors import InvalidInput, ServerUnavailable
from vendetta.store import Store
from vendetta.store.connection import hold

PATIENCE_SECONDS = 60


@pytest.fixture
async def other(store: Store, state_file: str) -> AsyncIterator[Store]:
    """That of another server."""
    async with Store.open(state_file) as other:
        yield other


async def end_connections(store: Store, query: str) -> int:
    """Those whose last statement began so are cut off by PostgreSQL; returns how many."""
    async with store._database.read() as connection:
        ended = await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE :query"),
            {"query": f"{query}%"},
        )
        return len(ended.all())


async def wait_for_waiters(store: Store, count: int = 1) -> None:
    """Returns once that many connections of this database wait for a lock."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with store._database.read() as connection:
                if (await connection.execute(query)).scalar_one() == count:
                    return


async def test_a_wrong_password_is_told_and_never_shown(state_file: str) -> None:
    password = state_file.split(":")[2].partition("@")[0]
    wrong = state_file.replace(password, "not-my-secret")
    with pytest.raises(InvalidInput, match=r"vendetta:\*\*\*@.*password authentication failed") as caught:
        async with Store.open(wrong):
            pass
    assert "not-my-secret" not in repr(caught.value)


async def test_news_reach_the_other_servers(store: Store, other: Store) -> None:
    ears = [Ear(store, "nodes"), Ear(other, "nodes")]
    await store.news.notify("nodes", {"from": "one"})
    await other.news.notify("nodes", {"from": "two"})
    for ear in ears:
        assert sorted([(await ear.next())["from"], (await ear.next())["from"]]) == ["one", "two"]


async def test_listeners_are_told_that_they_may_have_missed_something(store: Store, other: Store) -> None:
    ear = Ear(store, "nodes")
    assert await end_connections(other, "LISTEN") == 2
    async with asyncio.timeout(PATIENCE_SECONDS):
        await ear.missed.wait()
        while not await both_listen(other):
            await asyncio.sleep(0.01)
    await other.news.notify("nodes", {"from": "other"})
    assert await ear.next() == {"from": "other"}


async def both_listen(store: Store) -> bool:
    """Whether both servers listen again."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
    async with store._database.read() as connection:
        return (await connection.execute(text(query))).scalar_one() == 2


async def test_a_message_must_be_short(store: Store) -> None:
    with pytest.raises(ValueError, match="longer than"):
        await store.news.notify("nodes", {"text": "x" * 8000})


async def test_events_reach_the_watchers_of_every_server(store: Store, other: Store) -> None:
    async with Events(store) as here, Events(other) as there, asyncio.timeout(PATIENCE_SECONDS):
        watch = there.watch()
        for name in "abc":
            await here.emit("node.added", name)
            assert (await anext(watch)).subject == name
        from_now_on = there.watch()
        await here.emit("node.added", "d")
        assert (await anext(from_now_on)).subject == "d"


async def test_an_event_that_is_numbered_first_is_seen_first(store: Store, other: Store) -> None:
    """Else who watches would have read a higher number, and never look for the lower one again."""
    async with store._database.write() as connection:
        await hold(connection, "events")
        query = "INSERT INTO events (time, kind, subject, actor, data) VALUES (now(), 'a.b', 'first', 'x', '{}')"
        await connection.execute(text(query))
        second = asyncio.create_task(other.events.append("a.b", "second", "x", {}))
        await wait_for_waiters(other)
        assert (await other.events.list()).items == []
    await second
    assert [event.subject for event in (await other.events.list()).items] == ["first", "second"]


async def test_two_servers_number_events_in_the_order_in_which_they_are_seen(store: Store, other: Store) -> None:
    async def watch() -> list[int]:
        seen: list[int] = []
        async with Events(other) as events:
            async for event in events.watch(0):
                seen.append(event.sequence)
                if len(seen) == 200:
                    break
        return seen

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one.events.append("a.b", "x", "y", {}) for one in (store, other) for _ in range(100)))
    seen = await asyncio.wait_for(watching, PATIENCE_SECONDS)
    assert seen == sorted(seen)
    assert len(set(seen)) == 200


async def test_a_lock_ends_with_the_connection_of_its_holder(store: Store, other: Store) -> None:
    async with store.exclusive("x"):
        waiting = asyncio.create_task(enter(other))
        await wait_for_waiters(store)
        async with other._database.read() as connection:
            holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            await connection.execute(text(holders))
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_who_is_stopped_while_it_holds_a_lock_loses_it(state_file: str, store: Store) -> None:
    """PostgreSQL ends its session; here after a moment, as the URL says."""
    async with Store.open(f"{state_file}?options=-c%20idle_in_transaction_session_timeout%3D100ms") as stopped:
        async with stopped.exclusive("x"):
            await asyncio.wait_for(enter(store), PATIENCE_SECONDS)
        await asyncio.wait_for(enter(stopped), PATIENCE_SECONDS)


async def test_a_broken_connection_of_the_pool_is_not_used_again(store: Store, other: Store) -> None:
    await store.nodes.count()
    async with other._database.read() as connection:
        # and wait until they have ended
        own = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        await connection.execute(text(f"{own} AND datname = current_database()"))
    assert await store.nodes.count() == 0
    await store.events.append("a.b", "x", "y", {})


async def test_who_is_cut_off_within_a_transaction_is_told_to_try_again(store: Store, other: Store) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        await write_and_be_cut_off(store, other)
    assert "can't use its database" in caught.value.message
    await store.check()


async def write_and_be_cut_off(store: Store, other: Store) -> None:
    async with store._database.write() as connection:
        await connection.execute(text("SELECT 'mine'"))
        assert await end_connections(other, "SELECT 'mine'") == 1
        await connection.execute(text("SELECT 1"))


async def enter(store: Store) -> None:
    async with store.exclusive("x"):
        pass
