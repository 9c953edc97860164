"""The contract of the power `move`: what is taken away comes back whole, marked, and once."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.sites import Site, Spec, finish, ignore_progress, started

from vendetta.errors import InstanceNotFound, NameTaken, Unsupported, WrongState
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.powers import Moving

pytestmark = pytest.mark.needs("move", "snapshots")

MARK = "0123456789abcdef"


@pytest.fixture
def wanted(spec: Spec) -> InstanceSpec:
    return spec(labels={"team": "blue"}, env={"WORD": "kept"})


async def run(provider: Site, script: str) -> bytes:
    out, _, status = await finish(await provider.provider().exec("web", ["sh", "-c", script]))
    assert status == 0
    return out


async def export(site: Site, mark: str = MARK) -> bytes:
    provider = site.provider()
    assert isinstance(provider, Moving)
    return b"".join([piece async for piece in provider.export_instance("web", mark)])


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Cut at odd places."""
    yield content[:10]
    for start in range(10, len(content), 100_000):
        yield content[start : start + 100_000]


async def no_pieces() -> AsyncIterator[bytes]:
    raise AssertionError("nothing is to be read")
    yield b""


async def test_what_it_held_is_there_again(site: Site, wanted: InstanceSpec) -> None:
    """Here the other node is the same one, on which it isn't any more."""
    provider = site.provider()
    assert isinstance(provider, Moving)
    before = await started_web(site, wanted)
    await run(site, "echo first >/work/state && sync")
    await provider.create_snapshot("web", "early")  # type: ignore[attr-defined]
    await run(site, "echo second >/work/state; ln -s state /work/link; chmod 600 /work/state; sync")
    await provider.stop("web", timeout_seconds=2)
    content = await export(site)
    assert [one.name for one in await provider.list()] == ["web"]
    await provider.remove("web")
    made = await provider.import_instance("web", wanted, MARK, pieces(content))
    assert (made.name, made.image, made.labels) == (before.name, before.image, before.labels)
    assert made.state != "running"
    assert await provider.import_instance("web", wanted, MARK, no_pieces()) == made
    assert (await provider.create("web", wanted, ignore_progress)).id == made.id
    await provider.start("web")
    assert await run(site, "cat /work/link; stat -c %a /work/state; echo $WORD") == b"second\n600\nkept\n"
    assert [one.name for one in await provider.list_snapshots("web")] == ["early"]  # type: ignore[attr-defined]
    await provider.stop("web", timeout_seconds=2)
    await provider.restore_snapshot("web", "early")  # type: ignore[attr-defined]
    await provider.start("web")
    assert await run(site, "cat /work/state") == b"first\n"
    await provider.remove("web", force=True)
    assert [one.name for one in await provider.list_belongings()] == []  # type: ignore[attr-defined]


async def test_it_may_go_on_and_on(site: Site, wanted: InstanceSpec) -> None:
    provider = site.provider()
    assert isinstance(provider, Moving)
    await started_web(site, wanted)
    for number in range(3):
        await run(site, f"echo {number} >>/work/state && sync")
        await provider.stop("web", timeout_seconds=2)
        content = await export(site, f"mark{number}")
        await provider.remove("web")
        await provider.import_instance("web", wanted, f"mark{number}", pieces(content))
        await provider.start("web")
    assert await run(site, "cat /work/state") == b"0\n1\n2\n"
    assert list(await provider.list_snapshots("web")) == []  # type: ignore[attr-defined]


async def test_a_move_that_is_given_up_leaves_what_was_there(site: Site, wanted: InstanceSpec) -> None:
    provider = site.provider()
    assert isinstance(provider, Moving)
    await started_web(site, wanted)
    await provider.create_snapshot("web", "early")  # type: ignore[attr-defined]
    with pytest.raises(WrongState):
        await export(site)
    await provider.stop("web", timeout_seconds=2)
    content = await export(site)
    for _ in range(2):
        await provider.forget_move("web", MARK)
    assert [one.name for one in await provider.list_snapshots("web")] == ["early"]  # type: ignore[attr-defined]
    assert {one.kind for one in await provider.list_belongings()} == {"instance", "snapshot"}  # type: ignore[attr-defined]
    # another one of that name isn't taken for it, nor taken away
    with pytest.raises(NameTaken):
        await provider.import_instance("web", wanted, MARK, no_pieces())
    await provider.remove("web")
    await provider.import_instance("web", wanted, MARK, pieces(content))
    await provider.start("web")
    await provider.forget_move("web", "othermark")
    assert (await provider.inspect("web")).state == "running"
    await provider.forget_move("web", MARK)
    assert list(await provider.list()) == []
    assert list(await provider.list_belongings()) == []  # type: ignore[attr-defined]


async def test_what_would_be_left_behind_is_said_before(site: Site, spec: Spec) -> None:
    provider = site.provider()
    assert isinstance(provider, Moving)
    with pytest.raises(InstanceNotFound):
        await provider.check_movable("web")
    await provider.create("web", spec(), ignore_progress)
    await provider.check_movable("web")
    await provider.create("data", spec(mounts=[Mount(source="/srv", target="/data")]), ignore_progress)
    with pytest.raises(Unsupported, match="/data"):
        await provider.check_movable("data")


async def started_web(site: Site, wanted: InstanceSpec):  # type: ignore[no-untyped-def]
    provider = site.provider()
    await started(provider, "web", wanted)
    return await provider.inspect("web")
