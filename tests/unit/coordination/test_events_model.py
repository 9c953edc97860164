"""Whatever becomes of the news of events: whoever watches, from wherever, is given each once and in order.

Hypothesis appends, prunes, leaves out numbers, and holds the news back, shortens and loses them, as PostgreSQL may;
watchers begin anywhere, and take a few now and then. What each was given is compared with what there was.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from vendetta.coordination.events import Events
from vendetta.models import Event
from vendetta.store import Store

RECENT = 4
ALL = 1_000
Payload = dict[str, Any]
Step = tuple[str, int]


@dataclass
class Post:
    """The news between a store and `Events`."""

    store: Store
    kept: deque[Payload] = field(default_factory=deque)

    def listen(self, topic: str, listener: Callable[[Payload | None], None]) -> Callable[[], None]:
        self._listener = listener
        return self.store.news.listen(topic, lambda payload: self.kept.append(payload or {}))

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.kept))):
            self._listener(self.kept.popleft())

    def shorten(self, count: int) -> None:
        """Delivers so many as too long ones arrive."""
        for _ in range(min(count, len(self.kept))):
            payload = self.kept.popleft()
            self._listener({name: payload[name] for name in ("sequence", "kind", "subject")})

    def lose(self) -> None:
        self.kept.clear()
        self._listener(None)


@dataclass
class Place:
    """What `Events` needs of a store."""

    events: Any
    news: Post


@dataclass
class Follower:
    """A watcher, the number it began at, and all that it was given."""

    watch: AsyncIterator[Event]
    since: int
    seen: list[Event] = field(default_factory=list)
    pending: "asyncio.Task[Event | None] | None" = None

    async def take(self, count: int) -> None:
        """So many, or those that there are by now: it is left waiting for the next."""
        for _ in range(count):
            self.pending = self.pending or asyncio.create_task(self._next())
            for _ in range(5):  # SQLite answers at once: nothing takes more turns of the loop
                await asyncio.sleep(0)
            if not self.pending.done():
                return
            event, self.pending = self.pending.result(), None
            if event is None:
                return
            self.seen.append(event)

    async def end(self) -> None:
        async with asyncio.timeout(30):
            while event := await (self.pending or self._next()):
                self.seen.append(event)
                self.pending = None

    async def _next(self) -> Event | None:
        return await anext(self.watch, None)


class World:
    def __init__(self, store: Store, base: int) -> None:
        self.base = base
        self.store = store
        self.post = Post(store)
        self.events = Events(Place(store.events, self.post), recent=RECENT)  # type: ignore[arg-type]
        self.happened: list[Event] = []
        self.followers: list[Follower] = []

    async def act(self, step: Step) -> None:
        what, count = step
        match what:
            case "append":
                async with self.store.transaction() as state:
                    for number in range(count):
                        self.happened.append(await state.events.append("a.b", "x", "another", {"number": number}))
            case "emit":
                self.happened.append(await self.events.emit("a.b", "x"))
            case "leave out":
                async with self.store._database.write() as connection:
                    query = "UPDATE sqlite_sequence SET seq = seq + :count WHERE name = 'events'"
                    await connection.execute(text(query), {"count": count})
            case "prune":
                await self.store.events.prune(count)
            case "watch":
                since = self.base + count
                self.followers.append(Follower(self.events.watch(since), since))
                # one that is higher than there is begins at the newest
                self.followers[-1].since = min(since, await self.store.events.last())
                await self.followers[-1].take(1)
            case "watch all":
                self.followers.append(Follower(self.events.watch(0), await self.store.events.forgotten()))
                await self.followers[-1].take(1)
            case "watch now":
                self.followers.append(Follower(self.events.watch(), self.events._last))
            case "take":
                if self.followers:
                    await self.followers[count % len(self.followers)].take(count)
            case _:
                getattr(self.post, what)(*[count] if count else [])

    async def check(self) -> None:
        forgotten = await self.store.events.forgotten()
        for follower in self.followers:
            upto = follower.since
            for event in follower.seen:
                if event.kind == "events.missed":
                    assert event.data == {"from": upto + 1, "to": event.sequence}
                    assert event.sequence <= forgotten
                else:
                    [passed_by, *more] = [one for one in self.happened if upto < one.sequence <= event.sequence]
                    assert (passed_by, more) == (event, [])
                assert event.sequence > upto
                upto = event.sequence
            assert not [one for one in self.happened if one.sequence > upto]


few = st.integers(1, RECENT + 3)
steps = st.one_of(
    st.tuples(st.just("append"), few),
    st.tuples(st.just("emit"), st.just(0)),
    st.tuples(st.just("leave out"), st.integers(1, 3)),
    st.tuples(st.just("prune"), st.integers(1, 8)),
    st.tuples(st.just("deliver"), few),
    st.tuples(st.just("shorten"), st.integers(1, 2)),
    st.tuples(st.just("lose"), st.just(0)),
    st.tuples(st.just("watch"), st.integers(1, 8)),
    st.tuples(st.just("watch all"), st.just(0)),
    st.tuples(st.just("watch now"), st.just(0)),
    st.tuples(st.just("take"), st.integers(1, 20)),
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def store(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(str(Path(tmp_path_factory.mktemp("events")) / "state.db"))
    runner.run(store.__aenter__())
    yield store
    runner.run(store.__aexit__(None, None, None))


lives = st.integers(0, 30).flatmap(lambda length: st.lists(steps, min_size=length, max_size=length))


@given(todo=lives, heard=st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_is_seen_once_and_in_order(runner: asyncio.Runner, store: Store, todo: list[Step], heard: bool) -> None:
    runner.run(live_through(store, todo, heard=heard))


async def live_through(store: Store, todo: list[Step], *, heard: bool) -> None:
    """`heard`: they have seen everything once the news are through; else as the server stops before."""
    first = await store.events.append("a.b", "first", "another", {})
    await store.events.prune(keep=1)
    world = World(store, first.sequence - 1)
    world.happened.append(first)
    async with world.events:
        for step in todo:
            await world.act(step)
        if heard:
            world.post.deliver(ALL)
            for follower in world.followers:
                await follower.take(ALL)
            await world.check()
    for follower in world.followers:
        await follower.end()
    await world.check()
