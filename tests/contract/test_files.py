"""The contract of the power `files`: trees in and out as archives, bytes, modes, links and odd names as they are."""

import io
import tarfile
from collections.abc import AsyncIterator

import pytest
from tests.contract.sites import SHARED, finish

from vendetta.errors import InstanceNotFound, InvalidInput, PathNotFound
from vendetta.models import PathStat
from vendetta.providers.base import Provider

pytestmark = pytest.mark.needs("files")

ODD_NAME = "-n 'ä\" $(x)"


def build_tree() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode, content in (
            ("tree/run", 0o755, b"#!/bin/sh\n"),
            ("tree/private", 0o600, bytes(range(256))),
            (f"tree/{ODD_NAME}", 0o644, b"odd"),
            ("tree/empty", 0o644, b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            tar.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("tree/link")
        link.type, link.linkname = tarfile.SYMTYPE, "run"
        tar.addfile(link)
        folder = tarfile.TarInfo("tree/folder")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(folder)
    return buffer.getvalue()


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def gather(archive: AsyncIterator[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join([piece async for piece in archive])))


async def test_a_tree_comes_back_as_it_was_put(running: Provider) -> None:
    await running.put_archive(SHARED, "/tmp", pieces(build_tree()))
    tree = await gather(running.get_archive(SHARED, "/tmp/tree"))
    members = {member.name.rstrip("/"): member for member in tree.getmembers()}
    assert members.keys() == {
        "tree",
        *(f"tree/{name}" for name in ("run", "private", ODD_NAME, "empty", "link", "folder")),
    }
    assert members["tree/run"].mode & 0o777 == 0o755
    assert members["tree/private"].mode & 0o777 == 0o600
    assert members["tree/folder"].mode & 0o777 == 0o700
    assert members["tree/link"].linkname == "run"
    content = tree.extractfile(members["tree/private"])
    assert content is not None
    assert content.read() == bytes(range(256))


async def test_what_was_put_is_seen_inside(running: Provider) -> None:
    await running.put_archive(SHARED, "/tmp", pieces(build_tree()))
    assert (await finish(await running.exec(SHARED, ["cat", f"/tmp/tree/{ODD_NAME}"])))[0] == b"odd"


async def test_what_is_in_the_way_is_replaced(running: Provider) -> None:
    for _ in range(2):
        await running.put_archive(SHARED, "/tmp", pieces(build_tree()))
    assert (await running.stat_path(SHARED, "/tmp/tree/private")) == PathStat(kind="file", size_bytes=256, mode=0o600)


async def test_a_single_file_comes_under_its_name(running: Provider) -> None:
    await running.put_archive(SHARED, "/tmp", pieces(build_tree()))
    single = await gather(running.get_archive(SHARED, "/tmp/tree/run"))
    assert single.getnames() == ["run"]


async def test_what_stands_at_a_path(running: Provider) -> None:
    await running.put_archive(SHARED, "/tmp", pieces(build_tree()))
    folder = await running.stat_path(SHARED, "/tmp/tree/folder")
    assert folder is not None
    assert (folder.kind, folder.mode) == ("directory", 0o700)
    link = await running.stat_path(SHARED, "/tmp/tree/link")
    assert link is not None
    assert link.kind == "link"
    assert str(link.target).endswith("run")
    assert await running.stat_path(SHARED, "/tmp/tree/none") is None


async def test_a_lot_passes_both_ways(running: Provider) -> None:
    content = bytes(range(256)) * 65536
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("large")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    await running.put_archive(SHARED, "/tmp", pieces(buffer.getvalue(), 65536))
    back = (await gather(running.get_archive(SHARED, "/tmp/large"))).extractfile("large")
    assert back is not None
    assert back.read() == content


async def test_reading_can_be_given_up(running: Provider) -> None:
    archive = running.get_archive(SHARED, "/bin")
    await anext(archive)
    await archive.aclose()
    assert await running.stat_path(SHARED, "/bin") is not None


async def test_what_is_absent_is_told(running: Provider) -> None:
    with pytest.raises(PathNotFound):
        await gather(running.get_archive(SHARED, "/no/such/path"))
    with pytest.raises(PathNotFound):
        await running.put_archive(SHARED, "/no/such/folder", pieces(build_tree()))
    with pytest.raises(InstanceNotFound):
        await running.put_archive("other", "/tmp", pieces(build_tree()))
    with pytest.raises(InstanceNotFound):
        await gather(running.get_archive("other", "/tmp"))


async def test_a_path_is_absolute(running: Provider) -> None:
    with pytest.raises(InvalidInput):
        await running.stat_path(SHARED, "tmp")
