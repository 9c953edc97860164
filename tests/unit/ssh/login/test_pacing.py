"""How many logins go on at once: some for each host, some more overall, and who hangs holds up nobody else."""

import asyncio
import itertools
from collections import Counter

import pytest

from vendetta.ssh.login.pacing import PIECES, Pacing, Patience


class Logins:
    """Each goes on until it is let go; `most` are the most at once, by host and overall."""

    def __init__(self, pacing: Pacing) -> None:
        self.pacing = pacing
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.begun: list[str] = []
        self.ending = asyncio.Event()

    async def log_in(self, host: str) -> None:
        async with self.pacing.turn(host):
            self.begun.append(host)
            for counted in (host, "overall"):
                self.running[counted] += 1
                self.most[counted] = max(self.most[counted], self.running[counted])
            await self.ending.wait()
            for counted in (host, "overall"):
                self.running[counted] -= 1


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_so_many_for_each_host_and_overall() -> None:
    logins = Logins(Pacing(per_host=2, overall=5))
    async with asyncio.TaskGroup() as tasks:
        for host in [host for _ in range(10) for host in "abcd"]:
            tasks.create_task(logins.log_in(host))
        await settle()
        assert len(logins.begun) == 5
        logins.ending.set()
    assert len(logins.begun) == 40
    assert logins.most["overall"] == 5
    assert all(logins.most[host] <= 2 for host in "abcd")


async def test_those_who_wait_get_it_in_order() -> None:
    pacing, order = Pacing(per_host=1), []

    async def log_in(number: int) -> None:
        async with pacing.turn("a"):
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(log_in(number) for number in range(10)))
    assert order == list(range(10))


async def test_hosts_that_hang_make_way_for_others_but_not_at_their_own_door() -> None:
    logins = Logins(Pacing(per_host=2, overall=4, slow_seconds=0.01))
    async with asyncio.TaskGroup() as tasks:
        hanging = [tasks.create_task(logins.log_in(host)) for host in "aaabbbccc"]
        while not {"a", "b", "c"} <= set(logins.begun):
            await asyncio.sleep(0.001)
        tasks.create_task(logins.log_in("quick"))
        while "quick" not in logins.begun:
            await asyncio.sleep(0.001)
        assert all(logins.running[host] <= 2 for host in "abc")
        for task in hanging:
            task.cancel()
        logins.ending.set()


async def test_a_turn_is_given_back_once() -> None:
    pacing = Pacing(overall=1, slow_seconds=0.001)
    for _ in range(3):
        async with pacing.turn("a"):
            await asyncio.sleep(0.005)
    logins = Logins(pacing)
    async with asyncio.TaskGroup() as tasks:
        pacing._slow_seconds = 60
        for host in "ab":
            tasks.create_task(logins.log_in(host))
        await settle()
        assert len(logins.begun) == 1
        logins.ending.set()


async def test_time_in_which_we_are_late_ourselves_says_nothing_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    lateness = 1.0
    times = itertools.count()
    # every look at the clock is so much later than the one before
    monkeypatch.setattr("vendetta.ssh.login.pacing.monotonic", lambda: next(times) * lateness)
    acted, passed = asyncio.Event(), 0

    class Counted(Patience):
        def _pass(self) -> None:
            nonlocal passed
            passed += 1
            super()._pass()

    patience = Counted(0.01, acted.set)
    while passed < 3 * PIECES:
        await asyncio.sleep(0.001)
    assert not acted.is_set()
    lateness = 0.0
    await acted.wait()
    patience.end()
