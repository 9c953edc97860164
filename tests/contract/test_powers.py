"""The contract of the rarer powers: checkup, logs, stats and watch, at every site that has them."""

import asyncio
import time
from contextlib import aclosing

import pytest
from tests.contract.sites import Site, Spec, gather_output, ignore_progress, started

from vendetta.errors import InstanceNotFound, WrongState
from vendetta.providers.base import Provider
from vendetta.providers.powers import Checkup, capabilities

LINES = ["sh", "-c", "echo one; echo two >&2; echo three; exec sleep infinity"]


async def _lines_written(provider: Provider) -> bytes:
    async with asyncio.timeout(20):
        while (seen := await gather_output(provider.logs("web"))).count(b"\n") < 3:
            await asyncio.sleep(0.02)
    return seen


async def test_what_every_technology_can(provider: Provider) -> None:
    assert capabilities(type(provider)) >= {"checkup", "logs", "stats", "watch"}


@pytest.mark.needs("logs", "commands")
async def test_logs_hold_what_was_written(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(command=LINES))
    assert sorted((await _lines_written(provider)).splitlines()) == [b"one", b"three", b"two"]
    channels = {piece.data: piece.channel async for piece in provider.logs("web")}
    assert channels == {b"one\n": "stdout", b"two\n": "stderr", b"three\n": "stdout"}


@pytest.mark.needs("logs", "commands")
async def test_the_tail_of_the_logs(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(command=LINES))
    everything = await _lines_written(provider)
    assert await gather_output(provider.logs("web", tail=1)) == everything.splitlines(keepends=True)[-1]
    assert await gather_output(provider.logs("web", tail=0)) == b""


@pytest.mark.needs("logs", "commands")
async def test_logs_since_a_moment(provider: Provider, spec: Spec) -> None:
    before = time.time() - 60
    await started(provider, "web", spec(command=LINES))
    everything = await _lines_written(provider)
    assert await gather_output(provider.logs("web", since=before)) == everything
    assert await gather_output(provider.logs("web", since=time.time() + 60)) == b""


@pytest.mark.needs("logs", "commands")
async def test_followed_logs_end_with_the_instance(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(command=["sh", "-c", "echo first; sleep 0.3; echo last"]))
    async with asyncio.timeout(20):
        assert await gather_output(provider.logs("web", follow=True)) == b"first\nlast\n"


@pytest.mark.needs("logs", "commands")
async def test_logs_over_a_restart(provider: Provider, spec: Spec) -> None:
    """Who follows is told the end, and follows again what came after it; what was written before is still there."""
    await started(provider, "web", spec(command=["sh", "-c", "echo up; exec sleep infinity"]))
    for times in (1, 2):
        logs = provider.logs("web", follow=True)
        async with asyncio.timeout(60):
            seen = b""
            while seen.count(b"up\n") < times:
                seen += (await anext(logs)).data
            await provider.stop("web", timeout_seconds=0)
            assert await gather_output(logs) == b""
        await provider.start("web")


@pytest.mark.needs("logs")
async def test_logs_of_what_is_absent(provider: Provider) -> None:
    with pytest.raises(InstanceNotFound):
        await gather_output(provider.logs("web"))


@pytest.mark.needs("logs", "commands")
async def test_following_can_be_given_up(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(command=LINES))
    logs = provider.logs("web", follow=True)
    await anext(logs)
    await logs.aclose()
    assert (await provider.inspect("web")).state == "running"


@pytest.mark.needs("stats")
async def test_stats_of_a_running_instance(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(memory_bytes=128 * 1024 * 1024))
    stats = await provider.stats("web")
    assert stats.memory_limit_bytes == 128 * 1024 * 1024
    assert stats.pids >= 1
    assert stats.cpu_fraction >= 0
    assert stats.memory_bytes >= 0


@pytest.mark.needs("stats")
async def test_no_stats_without_a_running_instance(provider: Provider, spec: Spec) -> None:
    with pytest.raises(InstanceNotFound):
        await provider.stats("web")
    await provider.create("web", spec(), ignore_progress)
    with pytest.raises(WrongState):
        await provider.stats("web")


@pytest.mark.needs("watch")
async def test_watching_sees_ours_begin_and_end(site: Site, spec: Spec) -> None:
    us, others = site.provider("us"), site.provider("others")
    await started(others, "theirs", spec())
    await us.create("mine", spec(), ignore_progress)
    seen: set[tuple[str, str]] = set()
    async with aclosing(us.watch()) as events, asyncio.timeout(30):
        assert (await anext(events)).begins
        await others.stop("theirs", timeout_seconds=0)
        await us.start("mine")
        await us.stop("mine", timeout_seconds=0)
        while len(seen) < 2:  # it began, it ended
            event = await anext(events)
            seen.add((event.name, event.action))
    assert {name for name, _ in seen} == {"mine"}


async def test_a_healthy_engine_is_told_to_be_usable_first(provider: Provider) -> None:
    assert isinstance(provider, Checkup)
    first, *more = await provider.checks()
    assert (first.name, first.state) == (provider.kind, "ok")
    assert all(check.name.startswith(f"{provider.kind}-") for check in more)


async def test_every_check_says_what_was_found(provider: Provider) -> None:
    assert isinstance(provider, Checkup)
    checks = await provider.checks()
    assert all(check.detail for check in checks)
    assert len({check.name for check in checks}) == len(checks)


async def test_what_is_well_needs_no_mending(provider: Provider) -> None:
    assert isinstance(provider, Checkup)
    assert not [check for check in await provider.checks() if check.state == "ok" and check.mend]
