"""The contract: the engine is restarted in the middle. What was open ends, and everything else works again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from tests.contract.sites import Site, Spec, finish, gather_output, ignore_progress, started

from vendetta.errors import VendettaError

pytestmark = pytest.mark.needs("restarts")

END_SECONDS = 60.0


async def restart(site: Site) -> None:
    assert site.restart is not None
    await site.restart()


async def ends(acting: Awaitable[object]) -> None:
    """By itself or with an error of ours: it doesn't hang."""
    async with asyncio.timeout(END_SECONDS):
        try:
            await acting
        except VendettaError:
            return


async def test_the_same_provider_goes_on(site: Site, spec: Spec) -> None:
    provider = site.provider()
    await provider.create("web", spec(), ignore_progress)
    await restart(site)
    assert (await provider.probe()).state == "healthy"
    assert [instance.name for instance in await provider.list()] == ["web"]
    await provider.start("web")
    assert await finish(await provider.exec("web", ["echo", "up"])) == (b"up\n", b"", 0)
    await restart(site)
    await provider.start("web")  # whether or not it went on running
    assert await finish(await provider.exec("web", ["echo", "up"])) == (b"up\n", b"", 0)
    await provider.stop("web", timeout_seconds=5)
    await provider.remove("web")


async def test_a_program_that_runs_does_not_hang(site: Site, spec: Spec) -> None:
    provider = site.provider()
    await started(provider, "web", spec())
    process = await provider.exec("web", ["sh", "-c", "echo up; exec cat"])
    assert await process.read() is not None

    async def read_on() -> None:
        while await process.read() is not None:
            pass
        await process.wait()

    reading = asyncio.create_task(read_on())
    await restart(site)
    await process.write_eof()  # where it outlives the engine
    await ends(reading)
    await process.close()


@pytest.mark.needs("logs", "commands")
async def test_logs_that_are_followed_do_not_hang(site: Site, spec: Spec) -> None:
    provider = site.provider()
    await started(provider, "web", spec(command=["sh", "-c", "echo up; exec sleep infinity"]))
    logs = provider.logs("web", follow=True)
    assert (await anext(logs)).data == b"up\n"
    reading = asyncio.create_task(gather_output(logs))
    await restart(site)
    if (await provider.inspect("web")).state == "running":
        await provider.stop("web", timeout_seconds=0)  # where it outlives the engine
    await ends(reading)
    assert b"up\n" in await gather_output(provider.logs("web"))


@pytest.mark.needs("watch")
async def test_watching_ends_with_the_engine(site: Site) -> None:
    provider = site.provider()
    events = provider.watch()
    assert (await anext(events)).begins
    watching = asyncio.create_task(see_all(events))
    await restart(site)
    with pytest.raises(VendettaError):
        await asyncio.wait_for(watching, END_SECONDS)


async def see_all(events: AsyncIterator[object]) -> None:
    async for _ in events:
        pass


async def test_an_action_in_the_middle_is_repeated(site: Site, spec: Spec) -> None:
    """Many are made while the engine goes down; made again, each is there once."""
    names = [f"web-{number}" for number in range(5)]
    making = [asyncio.create_task(started(site.provider(), name, spec())) for name in names]
    await restart(site)
    for result in await asyncio.gather(*making, return_exceptions=True):
        assert result is None or isinstance(result, VendettaError)
    for name in names:
        await started(site.provider(), name, spec())
    assert sorted(instance.name for instance in await site.provider().list()) == names
    assert {instance.state for instance in await site.provider().list()} == {"running"}
