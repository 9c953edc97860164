"""Files and folders to the node and back, by SFTP and without it: the same outcome, the same errors."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Opening, Side, endpoint

from vendetta.errors import CommandFailed, Forbidden, NotFound, OutOfResources
from vendetta.ssh.connection import Connection

WAYS = {"sftp": {}, "streams": {"Subsystem": ""}, "broken": {"Subsystem": "sftp /nowhere/sftp-server"}}


@pytest.fixture(params=list(WAYS))
async def connection(make_sshd: MakeSshd, side: Side, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await side.connector().open(endpoint(make_sshd(**WAYS[request.param])), ACCEPT)
    yield connection
    await connection.close()


class Progress:
    def __init__(self) -> None:
        self.steps: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "a tree"
    (tree / "deeper" / "empty").mkdir(parents=True)
    (tree / "deeper" / "big").write_bytes(os.urandom(3_000_000))
    (tree / "it's $odd\n").write_bytes(b"\xff\x00")
    (tree / "-rf").write_bytes(b"")
    return tree


def read_tree(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


async def test_a_file_there_and_back_with_progress(connection: Connection, tmp_path: Path) -> None:
    data = os.urandom(5_000_000)
    (tmp_path / "-a b").write_bytes(data)
    putting, getting = Progress(), Progress()
    await connection.put(tmp_path / "-a b", str(tmp_path / "there"), on_bytes=putting)
    assert (tmp_path / "there").read_bytes() == data
    await connection.get(str(tmp_path / "there"), tmp_path / "back", on_bytes=getting)
    assert (tmp_path / "back").read_bytes() == data
    for progress in (putting, getting):
        assert progress.steps[-1] == (len(data), len(data))
        assert len(progress.steps) > 1
        assert progress.steps == sorted(progress.steps)


async def test_a_folder_there_and_back_with_progress(connection: Connection, tree: Path, tmp_path: Path) -> None:
    putting, getting = Progress(), Progress()
    await connection.put(tree, str(tmp_path / "there"), on_bytes=putting)
    assert read_tree(tmp_path / "there") == read_tree(tree)
    await connection.get(str(tmp_path / "there"), tmp_path / "back", on_bytes=getting)
    assert read_tree(tmp_path / "back") == read_tree(tree)
    assert max(putting.steps)[0] >= 3_000_000
    assert max(done for done, _ in getting.steps) >= 3_000_000


async def test_into_a_folder_that_is_there(connection: Connection, tree: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    (tmp_path / "file").write_bytes(b"x")
    for local in (tree, tmp_path / "file"):
        await connection.put(local, str(there))
        await connection.get(str(there / local.name), back)
    assert read_tree(there / tree.name) == read_tree(back / tree.name) == read_tree(tree)
    assert (there / "file").read_bytes() == (back / "file").read_bytes() == b"x"


async def test_an_empty_file(connection: Connection, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    await connection.put(tmp_path / "empty", str(tmp_path / "there"))
    await connection.get(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


@pytest.mark.parametrize("copy", ["put", "get"])
async def test_what_is_not_there_is_told_with_its_name(connection: Connection, tmp_path: Path, copy: str) -> None:
    nowhere, x = tmp_path / "nowhere", tmp_path / "x"
    copying = connection.put(nowhere, str(x)) if copy == "put" else connection.get(str(nowhere), x)
    with pytest.raises(NotFound, match="nowhere"):
        await copying
    assert (await connection.run(["true"])).exit_status == 0


async def test_a_target_in_a_folder_that_is_not_there(connection: Connection, tree: Path, tmp_path: Path) -> None:
    for local in (tree, tree / "-rf"):
        with pytest.raises((NotFound, CommandFailed)):
            await connection.put(local, str(tmp_path / "no" / "such" / "folder"))


@pytest.mark.parametrize("options", [{}, {"Subsystem": "sftp /nowhere"}], ids=["sftp", "streams"])
async def test_what_the_user_may_not_write_and_a_full_disk(
    make_node: NodeFactory, opened: Opening, tmp_path: Path, options: dict[str, str]
) -> None:
    node = make_node(sshd=options)
    node.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", "/mnt"])
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    async with opened(node) as connection:
        with pytest.raises(Forbidden, match="denied"):
            await connection.put(tmp_path / "file", "/etc/file")
        with pytest.raises((OutOfResources, CommandFailed)):
            await connection.put(tmp_path / "file", "/mnt/file")
        node.path(f"/home/{node.user}/.bashrc").write_text("echo welcome; printf 'no newline'\n")
        if options:  # a noisy login breaks SFTP, as it does for everybody
            await connection.get("/etc/hostname", tmp_path / "name")
            assert (tmp_path / "name").read_text().strip() == node.name


async def test_many_at_once_without_sftp(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    sshd = make_sshd(Subsystem="", MaxSessions="2")
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    (tmp_path / "file").write_bytes(bytes(300_000))
    await asyncio.gather(*(connection.put(tmp_path / "file", str(tmp_path / f"{number}")) for number in range(8)))
    assert {(tmp_path / f"{number}").stat().st_size for number in range(8)} == {300_000}
    await connection.close()
