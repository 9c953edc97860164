"""The contract: the link breaks in the middle of an action, at each point of it, and the action is repeated.

It ends as if nothing had happened: what was wanted is there once, and nothing else. Every run breaks it at two points
of each action, or in the middle alone where each costs the start of a machine; the thorough part at many.
"""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.contract.links import FragileLink, open_link
from tests.contract.sites import Site, Spec, finish, gather_output, ignore_progress, started

from vendetta.errors import LinkError, VendettaError
from vendetta.providers.base import Provider
from vendetta.providers.powers import Belongings
from vendetta.transport import Process

pytestmark = [pytest.mark.needs("ssh"), pytest.mark.timeout(600), pytest.mark.apart]

ACT_SECONDS = 120.0
SLOW_CUTS = 2
"""A site that is cut at no more points has instances that take long to start."""

Step = Callable[[Provider], Awaitable[object]]


async def nothing(_: Provider) -> None:
    """Where an action begins from nothing."""


class Trial:
    """Holds one action to it.

    With `few` it is cut off in the middle, and at the first piece that it sends where that costs little.
    """

    def __init__(self, site: Site, directory: Path, few: bool) -> None:
        self._site = site
        self._directory = directory
        self._few = few

    async def __call__(self, act: Step, *, before: Step = nothing, after: Step) -> None:
        """`before` makes the state that `act` begins from, `after` looks at what came of it."""
        pieces = await self._uncut(act, before, after)
        for point in self._few_points(pieces) if self._few else points(pieces, self._site.cuts):
            await before(self._site.provider())
            async with self.link() as (link, provider):
                link.arm(point)
                await _cut(act(provider))
            await self._repeat(act, after)

    def _few_points(self, pieces: int) -> set[int]:
        middle = (pieces + 1) // 2
        return {middle} if self._site.cuts <= SLOW_CUTS else {1, middle}

    @asynccontextmanager
    async def link(self) -> AsyncIterator[tuple[FragileLink, Provider]]:
        """A link of its own that can be broken, and a provider that uses it."""
        node = self._site.node
        assert node is not None
        async with FragileLink(node) as link, open_link(node, self._directory, link) as connection:
            provider = self._site.bind(connection, "us")
            try:
                yield link, provider
            finally:
                await provider.close()

    async def _uncut(self, act: Step, before: Step, after: Step) -> int:
        """How many pieces the action sends."""
        await before(self._site.provider())
        async with self.link() as (link, provider):
            link.arm()
            await act(provider)
            pieces = link.sent
        await self._repeat(act, after)
        return pieces

    async def _repeat(self, act: Step, after: Step) -> None:
        """By a provider that knows nothing of the first try. Then nothing of ours is left behind."""
        fresh = self._site.bind(self._site.transport, "us")
        try:
            async with asyncio.timeout(ACT_SECONDS):
                await act(fresh)
            await after(fresh)
            await asyncio.gather(*(fresh.remove(instance.name, force=True) for instance in await fresh.list()))
            if isinstance(fresh, Belongings):
                assert [one for one in await fresh.list_belongings() if one.workspace == "web"] == []
        finally:
            await fresh.close()


async def _cut(acting: Awaitable[object]) -> None:
    """It succeeds, or fails because of the link; it doesn't hang."""
    async with asyncio.timeout(ACT_SECONDS):
        try:
            await acting
        except LinkError:
            return


def points(pieces: int, most: int) -> list[int]:
    """From 1 to `pieces`, all of them or `most` evenly spread."""
    if pieces <= most:
        return list(range(1, pieces + 1))
    return sorted({1 + round(number * (pieces - 1) / (most - 1)) for number in range(most)})


@pytest.fixture
def trial(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Trial:
    return Trial(site, tmp_path, few=getattr(request, "param", "few") == "few")


each_cut = pytest.mark.parametrize("trial", ["few", pytest.param("many", marks=pytest.mark.thorough)], indirect=True)


@pytest.fixture
def made(spec: Spec) -> Step:
    return lambda provider: provider.create("web", spec(), ignore_progress)


@pytest.fixture
def run(spec: Spec) -> Step:
    return lambda provider: started(provider, "web", spec())


def is_there(state: str) -> Step:
    """Once, and nothing else is."""

    async def check(provider: Provider) -> None:
        assert [(instance.name, instance.state) for instance in await provider.list()] == [("web", state)]
        if isinstance(provider, Belongings):
            assert [one.kind for one in await provider.list_belongings() if one.workspace == "web"] == ["instance"]

    return check


@each_cut
async def test_create(trial: Trial, made: Step) -> None:
    await trial(made, after=is_there("created"))


@each_cut
async def test_start(trial: Trial, made: Step) -> None:
    await trial(lambda provider: provider.start("web"), before=made, after=is_there("running"))


@each_cut
async def test_stop(trial: Trial, run: Step) -> None:
    await trial(lambda provider: provider.stop("web", timeout_seconds=5), before=run, after=is_there("stopped"))


@each_cut
async def test_remove(trial: Trial, run: Step) -> None:
    async def gone(provider: Provider) -> None:
        assert list(await provider.list()) == []

    await trial(lambda provider: provider.remove("web", force=True), before=run, after=gone)


@pytest.mark.needs("pause")
@each_cut
async def test_pause(trial: Trial, run: Step) -> None:
    await trial(lambda provider: provider.pause("web"), before=run, after=is_there("paused"))


@pytest.mark.needs("pause")
@each_cut
async def test_resume(trial: Trial, run: Step) -> None:
    async def paused(provider: Provider) -> None:
        await run(provider)
        await provider.pause("web")

    await trial(lambda provider: provider.resume("web"), before=paused, after=is_there("running"))


@pytest.mark.needs("snapshots")
@each_cut
async def test_snapshot(trial: Trial, run: Step) -> None:
    async def kept(provider: Provider) -> None:
        assert [snapshot.name for snapshot in await provider.list_snapshots("web")] == ["first"]
        async with asyncio.timeout(ACT_SECONDS):
            # what holds it still for the first try may not be done yet
            while (await provider.inspect("web")).state != "running":
                await asyncio.sleep(0.05)

    await trial(lambda provider: provider.create_snapshot("web", "first"), before=run, after=kept)


@pytest.mark.needs("snapshots")
@each_cut
async def test_restore(trial: Trial, run: Step) -> None:
    async def changed(provider: Provider) -> None:
        await run(provider)
        for text in ("before", "after"):
            wrote = await provider.exec("web", ["sh", "-c", f"echo {text} >/work/state && sync"])
            assert (await finish(wrote))[2] == 0
            if text == "before":
                await provider.create_snapshot("web", "first")
        await provider.stop("web", timeout_seconds=5)

    async def as_it_was(provider: Provider) -> None:
        assert [instance.name for instance in await provider.list()] == ["web"]
        await provider.start("web")
        assert await finish(await provider.exec("web", ["cat", "/work/state"])) == (b"before\n", b"", 0)
        assert [snapshot.name for snapshot in await provider.list_snapshots("web")] == ["first"]

    await trial(lambda provider: provider.restore_snapshot("web", "first"), before=changed, after=as_it_was)


@pytest.mark.needs("snapshots")
@each_cut
async def test_remove_snapshot(trial: Trial, run: Step) -> None:
    async def kept(provider: Provider) -> None:
        await run(provider)
        await provider.create_snapshot("web", "first")

    async def none(provider: Provider) -> None:
        assert list(await provider.list_snapshots("web")) == []
        await is_there("running")(provider)

    await trial(lambda provider: provider.remove_snapshot("web", "first"), before=kept, after=none)


@pytest.mark.needs("files")
@each_cut
async def test_put(trial: Trial, run: Step) -> None:
    content = bytes(range(256)) * 4096
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("large")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    archive = buffer.getvalue()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(archive), 65536):
            yield archive[start : start + 65536]

    async def whole(provider: Provider) -> None:
        back = b"".join([piece async for piece in provider.get_archive("web", "/tmp/large")])
        with tarfile.open(fileobj=io.BytesIO(back)) as tar:
            file = tar.extractfile("large")
            assert file is not None
            assert file.read() == content

    await trial(lambda provider: provider.put_archive("web", "/tmp", pieces()), before=run, after=whole)


async def test_a_program_that_is_cut_off_ends_with_an_error(trial: Trial, run: Step, site: Site) -> None:
    await run(site.provider())
    async with trial.link() as (link, provider):
        process = await provider.exec("web", ["sh", "-c", "echo up; exec cat"])
        assert await process.read() is not None
        link.arm(1)
        with pytest.raises(VendettaError):
            await _use(process)
        await process.close()
    assert (await site.provider().inspect("web")).state == "running"


@pytest.mark.needs("files")
async def test_a_copy_out_that_is_cut_off_ends_with_an_error(trial: Trial, run: Step, site: Site) -> None:
    """And never as if it were whole."""
    await run(site.provider())
    for point in (1, 2, 3):
        async with trial.link() as (link, provider):
            link.arm(point)
            with pytest.raises(LinkError):
                async with asyncio.timeout(ACT_SECONDS):
                    b"".join([piece async for piece in provider.get_archive("web", "/bin/busybox")])


@pytest.mark.needs("watch")
async def test_watching_ends_with_the_link(trial: Trial) -> None:
    async with trial.link() as (link, provider):
        events = provider.watch()
        assert (await anext(events)).begins
        link.arm(1)
        with pytest.raises(VendettaError):
            async with asyncio.timeout(ACT_SECONDS):
                await asyncio.gather(_ignore_link(provider.list()), gather_events(events))


@pytest.mark.needs("logs", "commands")
async def test_following_ends_with_the_link(trial: Trial, spec: Spec, site: Site) -> None:
    await started(site.provider(), "web", spec(command=["sh", "-c", "echo up; exec sleep infinity"]))
    async with trial.link() as (link, provider):
        logs = provider.logs("web", follow=True)
        await anext(logs)
        link.arm(1)
        with pytest.raises(VendettaError):
            async with asyncio.timeout(ACT_SECONDS):
                await asyncio.gather(_ignore_link(provider.list()), gather_output(logs))


async def _use(process: Process) -> None:
    async with asyncio.timeout(ACT_SECONDS):
        await process.write(b"x")
        while await process.read() is not None:
            await process.write(b"x")
        await process.wait()


async def gather_events(events: AsyncIterator[object]) -> None:
    async for _ in events:
        pass


async def _ignore_link(acting: Awaitable[object]) -> None:
    try:
        await acting
    except LinkError:
        return
