"""What rests is visited seldom: so many logins in so much time, however many nodes there are."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.coordination import simulated
from tests.unit.coordination.machines import Machine, MemoryConnector, serving
from tests.unit.coordination.simulated import run

from vendetta.coordination.monitoring import resting
from vendetta.coordination.monitoring.resting import APART_SECONDS, RESTING_SECONDS, RestingVisits
from vendetta.coordination.monitoring.silence import Silence
from vendetta.coordination.monitoring.watched_node import Watched, clock
from vendetta.coordination.requests import NodeRequest
from vendetta.ssh.endpoint import Login
from vendetta.store import NodeClaim


def build_claim(node: str) -> NodeClaim:
    return NodeClaim(node=node, node_id=node, watcher="r", term=1)


class Fleet:
    """Nodes that do nothing but rest, and when each was visited."""

    def __init__(self, nodes: int) -> None:
        self.visits: list[tuple[float, str]] = []
        self.watched = [Watched(build_claim(f"n{number}"), Silence(0.0)) for number in range(nodes)]
        self.resting = RestingVisits()

    async def _rest(self, watched: Watched) -> None:
        while True:
            await self.resting.wait_for_turn(watched)
            self.visits.append((clock(), watched.node))

    @contextmanager
    def rests(self) -> Iterator[None]:
        tasks = [asyncio.create_task(self._rest(watched)) for watched in self.watched]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@pytest.fixture(autouse=True)
def _no_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "tmp_path" not in request.fixturenames:  # no database has to be waited for
        monkeypatch.setattr(simulated, "PATIENCE_SECONDS", 0.0)


def test_two_thousand_that_rest_are_visited_once_a_second_and_each_in_turn() -> None:
    async def check() -> None:
        fleet = Fleet(2000)
        with fleet.rests():
            await asyncio.sleep(3600)
        times = [time for time, _ in fleet.visits]
        assert len(times) <= 3600 / APART_SECONDS
        assert all(later - sooner >= APART_SECONDS - 0.001 for sooner, later in pairwise(times))
        often = Counter(node for _, node in fleet.visits)
        assert len(often) == 2000
        assert max(often.values()) - min(often.values()) <= 1

    run(check())


def test_a_few_are_visited_every_minute() -> None:
    async def check() -> None:
        fleet = Fleet(3)
        with fleet.rests():
            await asyncio.sleep(10 * RESTING_SECONDS + 30)
        assert set(Counter(node for _, node in fleet.visits).values()) <= {9, 10}

    run(check())


def test_the_turn_of_one_that_was_opened_before_goes_to_the_next() -> None:
    async def check() -> None:
        fleet = Fleet(100)
        with fleet.rests():
            await asyncio.sleep(1)
            for watched in fleet.watched[:99]:
                watched.nudge.set()
            await asyncio.sleep(1)
            fleet.visits.clear()
            await asyncio.sleep(RESTING_SECONDS)
        assert fleet.visits[0][1] == fleet.watched[99].node

    run(check())


def test_logins_where_nodes_rest_are_as_many_as_their_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole server, without SSH: three places for ten nodes."""
    logins: Counter[str] = Counter()
    open_ = MemoryConnector.open

    async def count(self: MemoryConnector, endpoint: object, *more: object) -> object:
        logins[endpoint.node] += 1  # type: ignore[attr-defined]
        return await open_(self, endpoint, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(MemoryConnector, "open", count)
    monkeypatch.setattr(resting, "APART_SECONDS", 20.0)
    names = [f"n{number}" for number in range(10)]

    async def check() -> None:
        async with serving(tmp_path, {name: Machine(name) for name in names}, max_connections=3) as services:
            for name in names:
                request = NodeRequest(name=name, address="me@192.0.2.1")
                await services.node_adding.add(request, Login(accept_new=True), actor="test")
            await asyncio.sleep(RESTING_SECONDS)
            logins.clear()
            await asyncio.sleep(600)
            # one a turn: whoever makes room for it rests from then on
            assert 25 <= logins.total() <= 600 / 20 + 1
            # the two that were added last have been used since the others were
            assert set(logins) == set(names[:8])
            assert {node.status for node in (await services.nodes.list()).items} == {"connected"}
            assert (await services.status()).connections == 3

    run(check())
