"""The contract: create, start, stop, remove, list and inspect, at every site."""

import asyncio

import pytest
from tests.contract.sites import IMAGE, QUIET_IMAGE, Site, Spec, ignore_progress, started

from vendetta.errors import ImageNotFound, InstanceNotFound, InvalidInput, NameTaken, WrongState
from vendetta.providers.base import Provider

pytestmark = pytest.mark.every_engine

FIELDS = {"env": {"A": "1"}, "labels": {"team": "blue"}}


async def test_a_healthy_engine_tells_its_version(provider: Provider) -> None:
    status = await provider.probe()
    assert status.state == "healthy"
    assert status.version
    assert status.reason is None


async def test_a_created_instance_is_there_and_not_running(site: Site, provider: Provider, spec: Spec) -> None:
    created = await provider.create("web", spec(**FIELDS), ignore_progress)
    assert (created.name, created.image, created.state) == ("web", site.image, "created")
    assert created.labels == {"team": "blue"}
    assert created.address is None
    assert await provider.inspect("web") == created
    assert list(await provider.list()) == [created]


async def test_the_same_spec_again_gives_what_is_there(provider: Provider, spec: Spec) -> None:
    first = await provider.create("web", spec(**FIELDS), ignore_progress)
    await provider.start("web")
    again = await provider.create("web", spec(**FIELDS), ignore_progress)
    assert again.id == first.id
    assert again.state == "running"


async def test_many_with_the_same_spec_at_once_make_one(provider: Provider, spec: Spec) -> None:
    made = await asyncio.gather(*(provider.create("web", spec(**FIELDS), ignore_progress) for _ in range(5)))
    assert len({instance.id for instance in made}) == 1


async def test_another_spec_under_the_name_is_refused(provider: Provider, spec: Spec) -> None:
    await provider.create("web", spec(**FIELDS), ignore_progress)
    with pytest.raises(NameTaken):
        await provider.create("web", spec(), ignore_progress)


async def test_a_name_of_another_owner_is_taken(site: Site, spec: Spec) -> None:
    await site.provider("others").create("web", spec(**FIELDS), ignore_progress)
    with pytest.raises(NameTaken):
        await site.provider("us").create("web", spec(**FIELDS), ignore_progress)


async def test_an_unknown_option_is_refused_before_anything_is_made(provider: Provider, spec: Spec) -> None:
    wrong = spec(options={"no-such-option": "1"})
    with pytest.raises(InvalidInput, match="no-such-option"):
        provider.validate(wrong)
    with pytest.raises(InvalidInput):
        await provider.create("web", wrong, ignore_progress)
    assert list(await provider.list()) == []


async def test_the_longest_name_works(provider: Provider, spec: Spec) -> None:
    name = "a" * 39 + "b"
    await started(provider, name, spec())
    assert (await provider.inspect(name)).state == "running"


async def test_starting_twice_is_starting(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    first = await provider.inspect("web")
    await provider.start("web")
    assert (await provider.inspect("web")).id == first.id
    assert first.state == "running"


@pytest.mark.needs("addresses")
async def test_a_running_instance_has_an_address(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    async with asyncio.timeout(20):
        while not (await provider.inspect("web")).address:  # a system container asks for one when it has started
            await asyncio.sleep(0.02)


@pytest.mark.needs("commands")
@pytest.mark.parametrize("image", [IMAGE, QUIET_IMAGE])
async def test_an_image_without_a_lasting_command_stays_up(provider: Provider, spec: Spec, image: str) -> None:
    await started(provider, "web", spec(image=image))
    process = await provider.exec("web", ["sleep", "0.3"])
    await process.write_eof()
    while await process.read() is not None:
        pass
    assert await process.wait() == 0
    await process.close()
    assert (await provider.inspect("web")).state == "running"


@pytest.mark.needs("commands")
@pytest.mark.parametrize(("script", "state", "status"), [("exit 3", "failed", 3), ("exit 0", "stopped", 0)])
async def test_a_command_of_the_spec_that_ends_is_told(
    provider: Provider, script: str, state: str, status: int, spec: Spec
) -> None:
    await started(provider, "web", spec(command=["sh", "-c", script]))
    while (ended := await provider.inspect("web")).state == "running":
        await asyncio.sleep(0.02)
    assert (ended.state, ended.exit_status) == (state, status)
    assert (ended.reason is not None) == (state == "failed")
    assert list(await provider.list()) == [ended]


async def test_stopping_twice_is_stopping(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    await provider.stop("web", timeout_seconds=5)
    stopped = await provider.inspect("web")
    assert stopped.state == "stopped"
    assert stopped.address is None
    await provider.stop("web", timeout_seconds=5)
    assert await provider.inspect("web") == stopped


@pytest.mark.needs("commands")
async def test_what_does_not_listen_to_a_stop_is_ended(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(command=["sleep", "infinity"]))
    await provider.stop("web", timeout_seconds=0)
    assert (await provider.inspect("web")).state == "stopped"


async def test_a_stopped_instance_starts_again(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    await provider.stop("web", timeout_seconds=5)
    await provider.start("web")
    assert (await provider.inspect("web")).state == "running"


async def test_removing_what_is_absent_is_success(provider: Provider, spec: Spec) -> None:
    await provider.remove("web")
    await provider.create("web", spec(**FIELDS), ignore_progress)
    await provider.remove("web")
    await provider.remove("web")
    assert list(await provider.list()) == []


async def test_removing_what_runs_needs_force(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    with pytest.raises(WrongState):
        await provider.remove("web")
    assert (await provider.inspect("web")).state == "running"
    await provider.remove("web", force=True)
    with pytest.raises(InstanceNotFound):
        await provider.inspect("web")


async def test_an_absent_instance_is_not_found(provider: Provider) -> None:
    for attempt in (provider.inspect("web"), provider.start("web"), provider.stop("web"), provider.dial("web", 80)):
        with pytest.raises(InstanceNotFound):
            await attempt
    with pytest.raises(InstanceNotFound):
        await provider.exec("web", ["true"])


async def test_an_absent_image_is_not_found(site: Site, provider: Provider, spec: Spec) -> None:
    with pytest.raises(ImageNotFound) as caught:
        await provider.create("web", spec(image=site.absent_image), ignore_progress)
    assert caught.value.hint
    assert list(await provider.list()) == []


async def test_what_others_own_is_neither_seen_nor_touched(site: Site, spec: Spec) -> None:
    us, others = site.provider("us"), site.provider("others")
    await started(others, "web", spec())
    await us.create("mine", spec(**FIELDS), ignore_progress)
    assert [instance.name for instance in await us.list()] == ["mine"]
    for attempt in (us.inspect("web"), us.start("web"), us.stop("web"), us.exec("web", ["true"])):
        with pytest.raises(InstanceNotFound):
            await attempt
    await us.remove("web", force=True)
    assert (await others.inspect("web")).state == "running"


async def test_an_instance_removed_behind_our_back_is_gone(site: Site, spec: Spec) -> None:
    provider = site.provider()
    await started(provider, "web", spec())
    await site.snatch("web")
    assert list(await provider.list()) == []
    with pytest.raises(InstanceNotFound):
        await provider.start("web")
    await provider.remove("web")


async def test_twenty_at_once(site: Site, provider: Provider, spec: Spec) -> None:
    names = [f"web-{number:02}" for number in range(20)]
    await asyncio.gather(*(provider.create(name, spec(), ignore_progress) for name in names))
    crowd = names[: site.crowd]
    await asyncio.gather(*map(provider.start, crowd))
    instances = await provider.list()
    assert sorted(instance.name for instance in instances) == names
    assert sorted(instance.name for instance in instances if instance.state == "running") == crowd
    assert len({instance.id for instance in instances}) == 20
    await asyncio.gather(*(provider.remove(name, force=True) for name in names))
    assert list(await provider.list()) == []
