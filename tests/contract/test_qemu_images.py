"""Images that QEMU's VMs are made from: given, fetched, kept once, removed; on a real node."""

import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.contract.qemu import MIB
from tests.contract.sites import Site, Spec, ignore_progress
from tests.testbed import Node, TestBed

from vendetta.errors import ImageNotFound, InvalidInput, WrongState
from vendetta.models import Progress
from vendetta.providers.qemu import QemuProvider

BLOBS = ".local/share/vendetta/qemu/images/blobs"


@pytest.fixture
async def site(qemu: Site) -> AsyncIterator[Site]:
    yield qemu
    await qemu.clear()


@pytest.fixture
async def vm(site: Site) -> AsyncIterator[QemuProvider]:
    provider = site.provider()
    assert isinstance(provider, QemuProvider)
    kept = {image.name for image in await provider.list_images()}
    yield provider
    await site.clear()
    cleaning = QemuProvider(site.transport, "us")
    for image in await cleaning.list_images():
        if image.name not in kept:
            await cleaning.remove_image(image.name)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Half of it holds something, half of it nothing."""
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * (2 * MIB // 256) + bytes(2 * MIB))
    return path


async def test_a_pushed_image_is_kept_once(vm: QemuProvider, disk: Path, spec: Spec) -> None:
    seen: list[Progress] = []
    image = await vm.push_image("given", disk, seen.append)
    assert (image.name, image.size_bytes, image.description) == ("given", 4 * MIB, "raw")
    assert (seen[-1].current, seen[-1].total) == (4 * MIB, 4 * MIB)
    again: list[Progress] = []
    assert (await vm.push_image("other", disk, again.append)).id == image.id
    assert again == []
    assert (await vm.create("web", spec(image="other"), ignore_progress)).image == "other"


async def test_it_is_sparse_on_the_node(vm: QemuProvider, disk: Path, qemu_node: Node) -> None:
    image = await vm.push_image("given", disk, ignore_progress)
    blob = f"/home/{qemu_node.user}/{BLOBS}/{image.id.removeprefix('sha256:')}"
    assert int(qemu_node.run(["du", "-k", blob]).stdout.split()[0]) <= 2100


async def test_a_push_goes_on_where_it_broke_off(vm: QemuProvider, disk: Path, qemu_node: Node) -> None:
    image = await vm.push_image("given", disk, ignore_progress)
    await vm.remove_image("given")
    sha = image.id.removeprefix("sha256:")
    part = f"/home/{qemu_node.user}/{BLOBS}/.part-{sha}-us"
    qemu_node.run(["sh", "-c", 'cat >"$1"; chown "$2" "$1"', "sh", part, qemu_node.user], input="")
    with disk.open("rb") as content:
        subprocess.run(
            ["sh", "-c", f'cat >/proc/{qemu_node.pid}/root"$1"', "sh", part], input=content.read(3 * MIB), check=True
        )
    seen: list[Progress] = []
    assert (await vm.push_image("given", disk, seen.append)).id == image.id
    assert [progress.current for progress in seen] == [4 * MIB]


async def test_another_content_under_the_name_takes_its_place(vm: QemuProvider, disk: Path) -> None:
    first = await vm.push_image("given", disk, ignore_progress)
    disk.write_bytes(b"another")
    assert (await vm.push_image("given", disk, ignore_progress)).id != first.id
    assert [image.name for image in await vm.list_images()].count("given") == 1


async def test_a_qcow2_image_is_known_as_one(vm: QemuProvider, disk: Path, tmp_path: Path, spec: Spec) -> None:
    packed = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", disk, packed], check=True)
    assert (await vm.push_image("packed", packed, ignore_progress)).description == "qcow2"
    await vm.create("web", spec(image="packed", disk_bytes=8 * MIB), ignore_progress)


async def test_one_that_refers_to_a_file_of_the_node_is_refused(vm: QemuProvider, tmp_path: Path) -> None:
    sly = tmp_path / "sly.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", sly, "1M"]
    subprocess.run(create, check=True)
    with pytest.raises(InvalidInput, match="another file"):
        await vm.push_image("sly", sly, ignore_progress)
    assert "sly" not in [image.name for image in await vm.list_images()]


async def test_one_in_use_stays(vm: QemuProvider, disk: Path, spec: Spec) -> None:
    await vm.push_image("given", disk, ignore_progress)
    await vm.create("web", spec(image="given"), ignore_progress)
    with pytest.raises(WrongState):
        await vm.remove_image("given")
    await vm.remove("web")
    for _ in range(2):
        await vm.remove_image("given")
    assert "given" not in [image.name for image in await vm.list_images()]


@pytest.fixture
def address(bed: TestBed, disk: Path) -> Iterator[str]:
    """Of the folder that `disk` is in, as the node reaches it."""
    serve = partial(SimpleHTTPRequestHandler, directory=str(disk.parent))
    with ThreadingHTTPServer((bed.gateway, 0), serve) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://{bed.gateway}:{server.server_port}"
        server.shutdown()
        serving.join()


async def test_an_address_is_fetched_by_the_node(vm: QemuProvider, disk: Path, address: str, spec: Spec) -> None:
    seen: list[Progress] = []
    created = await vm.create("web", spec(image=f"{address}/{disk.name}"), seen.append)
    assert created.image == f"{address}/{disk.name}"
    assert seen[-1].current == 4 * MIB
    given = await vm.push_image("given", disk, ignore_progress)
    assert given.id in [image.id for image in await vm.list_images() if image.name == created.image]
    disk.unlink()  # it isn't fetched again
    await vm.create("other", spec(image=created.image), ignore_progress)


async def test_a_checksum_that_is_not_its_is_told(vm: QemuProvider, disk: Path, address: str, spec: Spec) -> None:
    options = {**spec().options, "sha256": "0" * 64}
    with pytest.raises(InvalidInput, match="SHA-256"):
        await vm.create("web", spec(image=f"{address}/{disk.name}", options=options), ignore_progress)
    assert list(await vm.list()) == []


async def test_an_address_with_nothing_there(vm: QemuProvider, address: str, spec: Spec) -> None:
    with pytest.raises(ImageNotFound):
        await vm.create("web", spec(image=f"{address}/none.qcow2"), ignore_progress)
    with pytest.raises(InvalidInput):
        await vm.pull_image("given", ignore_progress)
