"""The contract of the power `snapshots`: what the disk held is there again, and nothing else changes."""

import pytest
from tests.contract.sites import Site, Spec, finish, started

from vendetta.errors import InstanceNotFound, SnapshotNotFound, WrongState
from vendetta.providers.base import Provider

pytestmark = pytest.mark.needs("snapshots")


@pytest.fixture
async def running(site: Site, spec: Spec) -> Provider:
    provider = site.provider()
    await started(provider, "web", spec(labels={"team": "blue"}))
    return provider


async def write(provider: Provider, text: str) -> None:
    """Lasting: on the disk, not only on its way to it."""
    process = await provider.exec("web", ["sh", "-c", f"echo {text} >/work/state && sync"])
    assert (await finish(process))[2] == 0


async def read(provider: Provider) -> bytes:
    return (await finish(await provider.exec("web", ["cat", "/work/state"])))[0]


async def test_what_the_disk_held_is_there_again(running: Provider) -> None:
    await write(running, "before")
    before = await running.inspect("web")
    made = await running.create_snapshot("web", "first")
    assert made.name == "first"
    assert (await running.inspect("web")).state == "running"
    await write(running, "after")
    await running.stop("web", timeout_seconds=5)
    await running.restore_snapshot("web", "first")
    restored = await running.inspect("web")
    assert (restored.name, restored.image, restored.labels) == (before.name, before.image, before.labels)
    assert restored.state != "running"
    await running.start("web")
    assert await read(running) == b"before\n"
    assert [snapshot.name for snapshot in await running.list_snapshots("web")] == ["first"]


async def test_a_restored_instance_is_the_one_of_its_spec(site: Site, running: Provider, spec: Spec) -> None:
    await running.create_snapshot("web", "first")
    await running.stop("web", timeout_seconds=5)
    await running.restore_snapshot("web", "first")
    again = await running.create("web", spec(labels={"team": "blue"}), lambda _: None)
    assert again.name == "web"
    assert [instance.name for instance in await running.list()] == ["web"]


async def test_one_that_is_there_is_kept(running: Provider) -> None:
    await write(running, "before")
    first = await running.create_snapshot("web", "first")
    await write(running, "after")
    assert await running.create_snapshot("web", "first") == first
    await running.stop("web", timeout_seconds=5)
    await running.restore_snapshot("web", "first")
    await running.restore_snapshot("web", "first")
    await running.start("web")
    assert await read(running) == b"before\n"


async def test_the_oldest_is_listed_first(running: Provider) -> None:
    assert list(await running.list_snapshots("web")) == []
    for name in ("b", "a"):
        await running.create_snapshot("web", name)
    snapshots = await running.list_snapshots("web")
    assert {snapshot.name for snapshot in snapshots} == {"a", "b"}
    assert snapshots[0].created_at <= snapshots[1].created_at


async def test_restoring_what_runs_is_refused(running: Provider) -> None:
    await running.create_snapshot("web", "first")
    with pytest.raises(WrongState):
        await running.restore_snapshot("web", "first")
    assert (await running.inspect("web")).state == "running"


async def test_an_absent_one_is_told_and_removed_is_success(running: Provider) -> None:
    await running.create_snapshot("web", "first")
    await running.stop("web", timeout_seconds=5)
    with pytest.raises(SnapshotNotFound):
        await running.restore_snapshot("web", "second")
    for _ in range(2):
        await running.remove_snapshot("web", "first")
    assert list(await running.list_snapshots("web")) == []


async def test_one_that_was_restored_can_be_removed(running: Provider) -> None:
    await running.create_snapshot("web", "first")
    await running.stop("web", timeout_seconds=5)
    await running.restore_snapshot("web", "first")
    await running.remove_snapshot("web", "first")
    assert list(await running.list_snapshots("web")) == []
    await running.start("web")
    assert (await running.inspect("web")).state == "running"


async def test_they_go_with_the_instance(running: Provider, spec: Spec) -> None:
    await running.create_snapshot("web", "first")
    await running.remove("web", force=True)
    await started(running, "web", spec())
    assert list(await running.list_snapshots("web")) == []


async def test_of_an_absent_instance(running: Provider) -> None:
    for attempt in (
        running.list_snapshots("other"),
        running.create_snapshot("other", "first"),
        running.restore_snapshot("other", "first"),
        running.remove_snapshot("other", "first"),
    ):
        with pytest.raises(InstanceNotFound):
            await attempt
