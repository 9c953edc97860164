"""One replica's view of its place, on a clock that the test turns: the database's and the machine's are one here."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from vendetta.coordination.cluster.membership import HEARTBEAT_SECONDS, LEASE_SECONDS, Membership
from vendetta.models import Replica
from vendetta.store import Peer


@dataclass
class Clock:
    now: float = 1000.0
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self.sleepers.append((self.now + seconds, awake))
        await awake.wait()

    async def turn(self, seconds: float) -> None:
        """In steps, so that whoever sleeps wakes at the time."""
        end = self.now + seconds
        while self.now < end:
            self.now = min([end, *(until for until, awake in self.sleepers if not awake.is_set() and until > self.now)])
            await self.wake()

    async def wake(self) -> None:
        for until, awake in self.sleepers:
            if until <= self.now:
                awake.set()
        self.sleepers = [(until, awake) for until, awake in self.sleepers if not awake.is_set()]
        for _ in range(20):
            await asyncio.sleep(0)


@dataclass
class Roster:
    """The database's part. `down`: it does not answer."""

    clock: Clock
    ends: dict[str, float] = field(default_factory=dict)
    down: bool = False
    watches: dict[str, bool] = field(default_factory=dict)

    async def join(self, replica: Replica, lease_seconds: float) -> Sequence[Peer]:
        return self.keep(replica.id, lease_seconds)

    async def renew(self, id: str, lease_seconds: float, *, watches: bool) -> Sequence[Peer] | None:
        self.check()
        if self.ends.get(id, 0) <= self.clock.now:
            return None
        self.watches[id] = watches
        return self.keep(id, lease_seconds)

    async def leave(self, id: str) -> None:
        self.check()
        self.ends.pop(id, None)

    def keep(self, id: str, lease_seconds: float) -> Sequence[Peer]:
        self.check()
        self.ends[id] = self.clock.now + lease_seconds
        return [
            Peer(id=peer, watches=self.watches.get(peer, True), seconds=end - self.clock.now)
            for peer, end in self.ends.items()
            if end > self.clock.now
        ]

    def check(self) -> None:
        if self.down:
            raise ConnectionError("nobody there")


@dataclass
class Side:
    replicas: Membership
    alive: list[frozenset[str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roster(clock: Clock) -> Roster:
    return Roster(clock)


@asynccontextmanager
async def running(roster: Roster, clock: Clock) -> AsyncIterator[Side]:
    side = Side(Membership(roster, shared=True, clock=clock, sleep=clock.sleep))
    side.replicas.on_change(side.alive.append)
    side.replicas.on_gone(side.gone.append)
    async with side.replicas:
        await clock.wake()
        yield side


async def test_the_place_is_kept_by_heartbeats_and_given_back_in_the_end(roster: Roster, clock: Clock) -> None:
    async with running(roster, clock) as side:
        await clock.turn(10 * LEASE_SECONDS)
        assert side.replicas.member
        assert side.alive == [{side.replicas.id}]
        assert roster.ends.keys() == {side.replicas.id}
    assert not roster.ends
    assert not side.replicas.member


async def test_one_that_comes_is_seen_with_the_next_heartbeat(roster: Roster, clock: Clock) -> None:
    async with running(roster, clock) as side:
        roster.keep("other", 1000)
        await clock.turn(HEARTBEAT_SECONDS)
        assert side.replicas.alive() == {side.replicas.id, "other"}
        assert side.alive[-1] == {side.replicas.id, "other"}


async def test_one_that_comes_is_seen_at_once_where_somebody_says_so(roster: Roster, clock: Clock) -> None:
    async with running(roster, clock) as side:
        roster.keep("other", 1000)
        side.replicas.look()
        await clock.wake()
        assert side.replicas.alive() == {side.replicas.id, "other"}


async def test_one_that_died_is_told_when_its_lease_ends_and_once(roster: Roster, clock: Clock) -> None:
    roster.keep("other", LEASE_SECONDS)
    async with running(roster, clock) as side:
        await clock.turn(LEASE_SECONDS - 0.5)
        assert not side.gone
        # sooner than a heartbeat after it
        await clock.turn(1)
        assert side.gone == ["other"]
        assert side.alive[-1] == {side.replicas.id}
        await clock.turn(5 * LEASE_SECONDS)
        assert side.gone == ["other"]


async def test_one_that_takes_no_nodes_any_more_lives_all_the_same(roster: Roster, clock: Clock) -> None:
    roster.keep("other", 1000)
    async with running(roster, clock) as side:
        roster.watches["other"] = False
        await clock.turn(HEARTBEAT_SECONDS)
        assert side.replicas.watching() == {side.replicas.id}
        assert side.replicas.alive() == {side.replicas.id, "other"}
        await side.replicas.stop_watching()
        assert side.replicas.watching() == frozenset()
        assert side.replicas.member
        assert roster.watches[side.replicas.id] is False


async def test_who_cant_renew_is_out_when_its_lease_ends_and_back_when_the_database_is(
    roster: Roster, clock: Clock
) -> None:
    async with running(roster, clock) as side:
        own = side.replicas.id
        roster.down = True
        # the last heartbeat was at the start, so the lease ends with this
        await clock.turn(LEASE_SECONDS - 0.5)
        assert side.replicas.member
        await clock.turn(0.5)
        assert not side.replicas.member
        assert side.alive == [{own}, frozenset()]
        assert side.replicas.watching() == frozenset()
        roster.down = False
        await clock.turn(HEARTBEAT_SECONDS)
        assert side.replicas.member
        assert side.alive == [{own}, frozenset(), {own}]


async def test_who_was_stopped_for_longer_than_its_lease_knows_it_before_anything_else(
    roster: Roster, clock: Clock
) -> None:
    """As SIGSTOP does it: no timer has run yet when somebody asks."""
    async with running(roster, clock) as side:
        own = side.replicas.id
        roster.keep("other", 1000)
        clock.now += 60
        assert not side.replicas.member
        assert side.replicas.alive() == frozenset()
        await clock.wake()
        await clock.turn(HEARTBEAT_SECONDS)
        assert side.alive == [{own}, frozenset(), {own, "other"}]


async def test_who_went_while_this_one_was_out_is_told_too(roster: Roster, clock: Clock) -> None:
    roster.keep("other", 3 * LEASE_SECONDS)
    async with running(roster, clock) as side:
        roster.down = True
        await clock.turn(4 * LEASE_SECONDS)
        assert not side.gone
        roster.down = False
        await clock.turn(HEARTBEAT_SECONDS)
        assert side.gone == ["other"]


async def test_a_lease_counts_from_before_it_was_asked_for(roster: Roster, clock: Clock) -> None:
    """The answer may have been long under way: the database had begun to count by then."""
    async with running(roster, clock) as side:
        slow = roster.renew

        async def renew(id: str, lease_seconds: float, *, watches: bool) -> Sequence[Peer] | None:
            answer = await slow(id, lease_seconds, watches=watches)
            await clock.sleep(3.5)
            roster.down = True
            return answer

        roster.renew = renew  # type: ignore[method-assign]
        await clock.turn(HEARTBEAT_SECONDS + LEASE_SECONDS - 0.1)
        assert side.replicas.member
        await clock.turn(0.1)
        assert not side.replicas.member


async def test_where_there_is_nobody_else_no_heart_beats(roster: Roster, clock: Clock) -> None:
    async with Membership(roster, shared=False, clock=clock, sleep=clock.sleep) as replicas:
        clock.now += 1e6
        await clock.wake()
        assert replicas.member
        assert replicas.watching() == {replicas.id}
        assert not clock.sleepers
