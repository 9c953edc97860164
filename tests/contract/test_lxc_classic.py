"""What only classic LXC has: templates, its own images, a console's log, addresses with and without DHCP."""

import asyncio
import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.contract.images import build_root
from tests.contract.links import FragileLink, open_link
from tests.contract.sites import IMAGE, Site, finish, gather_output, ignore_progress, started
from tests.testbed import Node

from vendetta.errors import (
    EngineForbidden,
    EngineUnavailable,
    ImageNotFound,
    InvalidInput,
    LinkError,
    ProviderError,
    Unsupported,
    WrongState,
)
from vendetta.models import InstanceSpec, Progress
from vendetta.providers.base import Provider
from vendetta.providers.lxc import Classic
from vendetta.providers.lxc.choice import choose
from vendetta.providers.powers import Direct, Moving, Resizing, require
from vendetta.transport import Terminal

CONTAINERS = "/var/lib/lxc"


@pytest.fixture
async def site(lxc: Site) -> AsyncIterator[Site]:
    yield lxc
    await lxc.clear()


@pytest.fixture
def provider(site: Site) -> Classic:
    provider = site.provider()
    assert isinstance(provider, Classic)
    return provider


@pytest.fixture
async def root_file(provider: Classic, tmp_path: Path) -> AsyncIterator[Path]:
    """A root file system in a file; what is made of it under the name `given` is taken away again."""
    path = tmp_path / "root.tar.gz"
    path.write_bytes(gzip.compress(build_root(), mtime=0))
    yield path
    for instance in await provider.list():
        await provider.remove(instance.name, force=True)
    await provider.remove_image("given")


async def say(provider: Provider, name: str, words: str) -> None:
    """On its console."""
    assert (await finish(await provider.exec(name, ["sh", "-c", f"echo {words} >/dev/console"])))[2] == 0


async def seen_in(provider: Classic, name: str, words: bytes) -> bytes:
    async with asyncio.timeout(20):
        while words not in (seen := await gather_output(provider.logs(name))):
            await asyncio.sleep(0.02)
    return seen


async def test_what_its_console_shows_is_its_log(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    await say(provider, "web", "one")
    await say(provider, "web", "two")
    assert (await seen_in(provider, "web", b"two")).splitlines() == [b"one", b"two"]
    assert (await gather_output(provider.logs("web", tail=1))).splitlines() == [b"two"]
    assert await gather_output(provider.logs("web", tail=0)) == b""
    with pytest.raises(Unsupported):
        await gather_output(provider.logs("web", since=0))


async def test_a_log_goes_on_after_a_restart_and_ends_with_a_stop(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    await say(provider, "web", "before")
    await seen_in(provider, "web", b"before")
    await provider.stop("web")
    await provider.start("web")
    following = asyncio.create_task(gather_output(provider.logs("web", follow=True)))
    await say(provider, "web", "after")
    await seen_in(provider, "web", b"after")
    await provider.stop("web")
    async with asyncio.timeout(20):
        assert (await following).splitlines() == [b"before", b"after"]


async def test_following_leaves_nothing_behind(provider: Classic, processes: Callable[[], str]) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    await say(provider, "web", "here")
    logs = provider.logs("web", follow=True)
    await anext(logs)
    assert "lxc-wait" in processes()
    await logs.aclose()
    async with asyncio.timeout(20):
        while "lxc-wait" in processes():
            await asyncio.sleep(0.02)


async def test_a_signal_ends_the_program_alone(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    for name, status in (("INT", 130), ("TERM", 143), ("KILL", 137)):
        process = await provider.exec("web", ["sleep", "1000"])
        await process.signal(name)
        assert await process.wait() == status
        await process.close()
    with pytest.raises(InvalidInput):
        await (await provider.exec("web", ["true"])).signal("0; reboot")


async def test_what_is_let_go_of_is_ended(provider: Classic, processes: Callable[[], str]) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["sleep", "4321"])
    await process.close()
    async with asyncio.timeout(20):
        while "sleep 4321" in processes():
            await asyncio.sleep(0.02)


async def test_a_copy_that_was_cut_off_writes_nothing_over_the_next(
    provider: Classic, classic_node: Node, tmp_path: Path
) -> None:
    """It has got all of it, and stands still for as long as it takes."""
    await started(provider, "web", InstanceSpec(image=IMAGE))

    def unpackers() -> list[str]:
        listed = classic_node.run(["ps", "-eo", "pid,args"]).stdout
        return [line.split()[0] for line in listed.splitlines() if line.split()[1:] == ["tar", "-x", "-p", "-f", "-"]]

    async with FragileLink(classic_node) as link, open_link(classic_node, tmp_path, link) as connection:

        async def old() -> AsyncIterator[bytes]:
            async with asyncio.timeout(20):
                while not (found := unpackers()):
                    await asyncio.sleep(0.02)
            classic_node.run(["kill", "-STOP", *found])
            yield build_archive("file", b"old")
            link.arm(1)

        with pytest.raises(LinkError):
            await Classic(connection, "us").put_archive("web", "/tmp", old())

    async def new() -> AsyncIterator[bytes]:
        yield build_archive("file", b"new")

    await provider.put_archive("web", "/tmp", new())
    for pid in unpackers():
        classic_node.run(["kill", "-CONT", pid])
    async with asyncio.timeout(20):
        while unpackers():
            await asyncio.sleep(0.02)
    assert (await finish(await provider.exec("web", ["cat", "/tmp/file"])))[0] == b"new"


async def test_a_copy_that_goes_on_is_not_ended_by_another(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))

    async def one() -> AsyncIterator[bytes]:
        yield build_archive("one", b"1")

    async def slow() -> AsyncIterator[bytes]:
        archive = build_archive("slow", b"2")
        yield archive[:600]
        await provider.put_archive("web", "/tmp", one())
        yield archive[600:]

    await provider.put_archive("web", "/tmp", slow())
    assert (await finish(await provider.exec("web", ["cat", "/tmp/one", "/tmp/slow"])))[0] == b"12"


def build_archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_a_user_is_known_by_the_name_in_there(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    for user, told in (("worker", b"1000 1000\n"), ("1000", b"1000 1000\n"), ("7:8", b"7 8\n"), ("root", b"0 0\n")):
        stdout, _, _ = await finish(await provider.exec("web", ["sh", "-c", "echo $(id -u) $(id -g)"], user=user))
        assert stdout == told
    with pytest.raises(InvalidInput):
        await provider.exec("web", ["true"], user="nobody-knows")


async def test_a_terminal_ends_its_lines_once_and_takes_keys(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    process = await provider.exec("web", ["cat"], terminal=Terminal())
    await process.write(b"hello\n")
    seen = b""
    while seen.count(b"\n") < 2:
        piece = await process.read()
        assert piece is not None
        seen += piece.data
    assert seen == b"hello\r\nhello\r\n"
    await process.signal("INT")
    assert await process.wait() == 130
    await process.close()


async def test_a_console_is_where_init_writes(provider: Classic) -> None:
    await started(provider, "web", InstanceSpec(image=IMAGE))
    console = await provider.open_console("web", Terminal())
    await say(provider, "web", "hello")
    seen = b""
    while b"hello" not in seen:
        piece = await console.read()
        assert piece is not None
        seen += piece.data
    await console.close()
    assert (await provider.inspect("web")).state == "running"
    await provider.stop("web")
    with pytest.raises(WrongState):
        await provider.open_console("web", Terminal())


async def test_a_template_makes_an_image_once(provider: Classic) -> None:
    """Its init asks for an address by DHCP."""
    told: list[Progress] = []
    await provider.create("web", InstanceSpec(image="busybox"), told.append)
    await provider.create("other", InstanceSpec(image="busybox"), told.append)
    assert [progress.message for progress in told] == ["making image busybox"]
    await provider.start("web")
    async with asyncio.timeout(30):
        while (address := (await provider.inspect("web")).address) is None:
            await asyncio.sleep(0.1)
    assert address.startswith("10.0.3.")
    assert [instance.address for instance in await provider.list() if instance.name == "web"] == [address]
    await provider.stop("web", timeout_seconds=5)
    await provider.remove("web")
    await provider.remove("other")
    again = await provider.pull_image("busybox", ignore_progress)
    assert again.name == "busybox"
    await provider.remove_image("busybox")
    assert "busybox" not in [image.name for image in await provider.list_images()]


@pytest.mark.parametrize("image", ["download:debian/12", "oci:/no/such/folder:latest", "local:nothing", "nothing"])
async def test_an_image_that_is_nowhere_leaves_nothing(provider: Classic, image: str) -> None:
    with pytest.raises(ImageNotFound) as caught:
        await provider.create("web", InstanceSpec(image=image), ignore_progress)
    assert caught.value.hint
    assert list(await provider.list()) == []
    assert [one.name for one in await provider.list_images()] == [IMAGE]


async def test_a_root_file_system_becomes_an_image(provider: Classic, root_file: Path) -> None:
    seen: list[Progress] = []
    image = await provider.push_image("given", root_file, seen.append)
    assert (image.name, seen[-1].current, seen[-1].total) == ("given", root_file.stat().st_size, seen[-1].current)
    seen.clear()
    assert (await provider.push_image("local:given", root_file, seen.append)).id == image.id
    assert seen == []
    await started(provider, "web", InstanceSpec(image="local:given"))
    with pytest.raises(WrongState):
        await provider.remove_image("given")


async def test_another_content_takes_the_name_and_the_old_stays_while_it_is_used(
    provider: Classic, root_file: Path, files_in: Callable[[str], list[Path]]
) -> None:
    first = await provider.push_image("given", root_file, ignore_progress)
    await started(provider, "web", InstanceSpec(image="given"))
    root_file.write_bytes(build_root(applets=["sh", "sleep"]))
    assert (await provider.push_image("given", root_file, ignore_progress)).id != first.id
    await provider.stop("web")
    await provider.start("web")
    assert len(files_in("images")) == 3
    await provider.remove("web", force=True)
    await provider.remove_image("given")
    assert len(files_in("images")) == 1


async def test_the_file_that_incus_takes_is_taken(provider: Classic, root_file: Path) -> None:
    root_file.write_bytes(build_unified())
    await provider.push_image("given", root_file, ignore_progress)
    await started(provider, "web", InstanceSpec(image="given"))
    assert (await finish(await provider.exec("web", ["sh", "-c", "exit 3"])))[2] == 3


def build_unified() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(build_root())) as root, tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("metadata.yaml"))
        for entry in root.getmembers():
            entry.name = f"rootfs/{entry.name}"
            tar.addfile(entry, root.extractfile(entry) if entry.isreg() else None)
    return buffer.getvalue()


async def test_what_is_no_image_is_refused(provider: Classic, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a tar")
    with pytest.raises(InvalidInput):
        await provider.push_image("given", tmp_path / "text", ignore_progress)
    (tmp_path / "broken.tar.gz").write_bytes(gzip.compress(build_root(), mtime=0)[:200_000])
    with pytest.raises(ProviderError):
        await provider.push_image("given", tmp_path / "broken.tar.gz", ignore_progress)
    with pytest.raises(InvalidInput):
        await provider.push_image("busybox", tmp_path / "text", ignore_progress)
    with pytest.raises(InvalidInput):
        await provider.pull_image("given", ignore_progress)


async def test_each_has_an_address_of_its_own(provider: Classic) -> None:
    names = [f"web-{number}" for number in range(5)]
    await asyncio.gather(*(started(provider, name, InstanceSpec(image=IMAGE)) for name in names))
    addresses = {instance.address for instance in await provider.list()}
    assert len(addresses) == 5
    assert None not in addresses


async def test_what_a_broken_create_left_is_made_anew(provider: Classic, classic_node: Node) -> None:
    left = f"{CONTAINERS}/.vendetta/new/vendetta-web"
    classic_node.run(["sh", "-c", f"mkdir -p {left}/delta && echo nonsense >{left}/config"])
    assert list(await provider.list()) == []
    await started(provider, "web", InstanceSpec(image=IMAGE))
    assert not classic_node.path(left).exists()


async def test_it_is_chosen_where_there_is_no_daemon_and_lacks_what_needs_one(site: Site) -> None:
    provider = await choose(site.transport, "us")
    assert isinstance(provider, Classic)
    for power in (Resizing, Moving, Direct):
        with pytest.raises(Unsupported):
            require(provider, power)


async def test_without_a_bridge_it_is_told(provider: Classic, classic_node: Node) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        await provider.create("web", InstanceSpec(image=IMAGE, options={"network": "nobr0"}), ignore_progress)
    assert "nobr0" in caught.value.message
    await provider.create("web", InstanceSpec(image=IMAGE), ignore_progress)
    classic_node.run(["ip", "link", "set", "lxcbr0", "name", "away0"], check=False)
    try:
        with pytest.raises(ProviderError, match="bridge"):
            await provider.start("web")
        assert (await provider.probe()).state == "unhealthy"
        assert "lxc-bridge" in [check.name for check in await provider.checks() if check.state == "warning"]
    finally:
        classic_node.run(["ip", "link", "set", "away0", "name", "lxcbr0"], check=False)
    await provider.start("web")


async def test_without_sudo_the_engine_is_forbidden(make_node: Callable[..., Node], tmp_path: Path) -> None:
    async with open_link(make_node(engines=["lxc"], sudo="password"), tmp_path) as connection:
        provider = Classic(connection, "us")
        with pytest.raises(EngineForbidden) as caught:
            await provider.list()
        assert caught.value.hint
        with pytest.raises(EngineForbidden):
            await provider.exec("web", ["true"])
        assert (await provider.probe()).state == "unhealthy"
        (check,) = await provider.checks()
        assert (check.name, check.state, check.mend is not None) == ("lxc", "warning", True)


@pytest.fixture
def processes(classic_node: Node) -> Callable[[], str]:
    return lambda: classic_node.run(["ps", "-eo", "args"]).stdout


@pytest.fixture
def files_in(classic_node: Node) -> Callable[[str], list[Path]]:
    """Of our folder on the node."""
    return lambda folder: sorted(classic_node.path(f"{CONTAINERS}/.vendetta/{folder}").iterdir())
