"""Shares of two replicas in one process, on one PostgreSQL. Their places end when the test says so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from tests.unit.store.samples import make_node

from vendetta.coordination.cluster.membership import LEASE_SECONDS, Alive
from vendetta.coordination.cluster.node_assignment import NodeAssignment, owner_of
from vendetta.models import Replica
from vendetta.store import LeaseLost, NodeClaim, Store

NODES = [f"n{number}" for number in range(12)]


@dataclass
class Place:
    """What `Membership` is to shares, as the test says."""

    id: str
    store: Store
    member: bool = True
    others: set[str] = field(default_factory=set)
    listeners: list[Callable[[Alive], None]] = field(default_factory=list)

    async def join(self) -> None:
        replica = Replica(id=self.id, host="here", version="1", pid=1, started_at=datetime.now(UTC))
        await self.store.replicas.join(replica, 10 * LEASE_SECONDS)

    def watching(self) -> Alive:
        return frozenset({self.id, *self.others}) if self.member else frozenset()

    def on_change(self, listener: Callable[[Alive], None]) -> None:
        self.listeners.append(listener)

    def look(self) -> None:
        return

    async def stop_watching(self) -> None:
        self.member = False


@dataclass
class Recorder:
    followed: dict[str, NodeClaim] = field(default_factory=dict)
    released: list[str] = field(default_factory=list)

    def follow(self, claim: NodeClaim) -> None:
        self.followed[claim.node] = claim

    async def unfollow(self, node: str) -> None:
        self.followed.pop(node, None)

    def release(self, node: str) -> None:
        self.released.append(node)


@dataclass
class Side:
    place: Place
    shares: NodeAssignment
    watcher: Recorder

    @property
    def nodes(self) -> set[str]:
        return set(self.watcher.followed)


@pytest.fixture
async def sides(database_url: str) -> AsyncIterator[tuple[Side, Side]]:
    """Two that know of each other; twelve nodes that are wanted."""
    async with AsyncExitStack() as stack:
        made = []
        for name in ("first", "second"):
            store = await stack.enter_async_context(Store.open(database_url))
            place = Place(name, store)
            await place.join()
            made.append(Side(place, NodeAssignment(store, place), Recorder()))  # type: ignore[arg-type]
        first, second = made
        for name in NODES:
            await first.place.store.nodes.add(make_node(name, id=name))
            await first.place.store.nodes.update(name, wanted=True)
        first.place.others, second.place.others = {"second"}, {"first"}
        for side in made:
            await stack.enter_async_context(side.shares.serving(side.watcher))
        yield first, second


async def test_each_takes_its_own(sides: tuple[Side, Side]) -> None:
    first, second = sides
    assert first.nodes | second.nodes == set(NODES)
    assert not first.nodes & second.nodes
    assert first.nodes == {name for name in NODES if owner_of(name, ["first", "second"]) == "first"}
    for name in NODES:
        assert (first.shares.claim(name) is None) != (second.shares.claim(name) is None)


async def test_who_comes_gets_its_part_and_nothing_else_moves(sides: tuple[Side, Side]) -> None:
    first, second = sides
    before = dict(first.watcher.followed)
    first.place.others = {"second", "third"}
    await first.shares.settle()
    moved = before.keys() - first.nodes
    assert moved == {name for name in before if owner_of(name, ["first", "second", "third"]) == "third"}
    assert set(first.watcher.released) == moved
    assert {name: before[name] for name in first.nodes} == first.watcher.followed
    assert await second.place.store.claims.free() == {name: name for name in moved}


async def test_who_lost_its_place_drops_everything_at_once_and_takes_it_anew(sides: tuple[Side, Side]) -> None:
    first, second = sides
    before = dict(first.watcher.followed)
    first.place.member = False
    assert all(first.shares.claim(name) is None for name in NODES)
    await first.shares.settle()
    assert not first.nodes
    # nobody has taken them meanwhile: they are still its own in the database
    first.place.member = True
    await first.shares.settle()
    assert first.nodes == before.keys()
    for name, claim in before.items():
        assert first.watcher.followed[name].term > claim.term
        with pytest.raises(LeaseLost):
            async with first.place.store.transaction(claim):
                pass
    assert second.nodes == set(NODES) - before.keys()


async def test_what_another_took_is_not_taken_back(sides: tuple[Side, Side]) -> None:
    first, second = sides
    lost = dict(first.watcher.followed)
    await first.place.store.replicas.leave("first")
    second.place.others = set()
    await second.shares.settle()
    assert second.nodes == set(NODES)
    for claim in lost.values():
        first.shares.lost(claim)
    await first.shares.settle()
    assert not first.shares.claims()


async def test_whose_answer_was_lost_watches_all_the_same(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has done what it was asked, but the connection broke before it could say so."""
    first, _ = sides
    store = first.place.store
    take = store.claims.take
    name = next(name for number in range(100) if owner_of(name := f"new{number}", ["first", "second"]) == "first")
    await store.nodes.add(make_node(name, id=name))
    await store.nodes.update(name, wanted=True)

    async def broken(*given: object, **more: object) -> None:
        await take(*given, **more)  # type: ignore[arg-type]
        raise ConnectionError("gone")

    monkeypatch.setattr(store.claims, "take", broken)
    with pytest.raises(ConnectionError):
        await first.shares.settle()
    monkeypatch.undo()
    await first.shares.settle()
    assert name in first.nodes


async def test_what_is_let_go_is_told_to_the_others(sides: tuple[Side, Side]) -> None:
    first, second = sides
    first.place.others = set()
    heard = asyncio.Event()
    first.place.store.news.listen("replicas", lambda payload: heard.set())
    second.place.member = False
    await second.place.store.claims.give("second")
    async with asyncio.timeout(30):
        await heard.wait()
        while first.nodes != set(NODES):
            await asyncio.sleep(0.01)
