import asyncio
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from tests.unit.store.samples import make_node

from vendetta.client import state_archive
from vendetta.client.state_archive import Manifest, back_up, read_manifest, restore
from vendetta.errors import InvalidInput, NameTaken, NotFound, Unsupported
from vendetta.paths import operations_file
from vendetta.store import Store
from vendetta.store.schema import HEAD


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    """Of a server that knows one node, and has recorded steps."""

    async def make() -> None:
        async with Store.open(str(path)) as store:
            await store.nodes.add(make_node("gpu"))

    path = tmp_path / "home" / "state.db"
    asyncio.run(make())
    with closing(sqlite3.connect(operations_file(path))) as steps:
        steps.execute("CREATE TABLE steps (name TEXT)")
    return path


def nodes(state_file: Path) -> list[str]:
    async def read() -> list[str]:
        async with Store.open(str(state_file)) as store:
            return [node.name for node in await store.nodes.all()]

    return asyncio.run(read())


def add_node(state_file: Path, name: str) -> None:
    async def add() -> None:
        async with Store.open(str(state_file)) as store:
            await store.nodes.add(make_node(name))

    asyncio.run(add())


def test_what_is_backed_up_is_put_back(state_file: Path, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar"
    manifest = back_up(state_file, archive)
    assert (manifest.schema, manifest.nodes, manifest.workspaces) == (HEAD, 1, 0)
    assert read_manifest(archive) == manifest
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    add_node(state_file, "later")
    assert restore(archive, state_file, newest_schema=HEAD) == manifest
    assert nodes(state_file) == ["gpu"]
    elsewhere = tmp_path / "elsewhere" / "other.db"
    restore(archive, elsewhere, newest_schema=HEAD)
    assert nodes(elsewhere) == ["gpu"]
    with closing(sqlite3.connect(operations_file(elsewhere))) as steps:
        assert steps.execute("SELECT * FROM steps").fetchall() == []
    for file in (elsewhere, operations_file(elsewhere)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "elsewhere", "home"]
    assert not [path for path in elsewhere.parent.iterdir() if path.is_dir()]


def test_a_backup_is_taken_while_others_write(state_file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state_file, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        writing.execute("DELETE FROM nodes")
        back_up(state_file, tmp_path / "backup.tar")
        writing.execute("ROLLBACK")
    restore(tmp_path / "backup.tar", tmp_path / "other.db", newest_schema=HEAD)
    assert nodes(tmp_path / "other.db") == ["gpu"]


def test_steps_are_copied_before_the_state(state_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    copy = state_archive._copy

    def note(file: Path, target: Path) -> None:
        copied.append(file.name)
        copy(file, target)

    monkeypatch.setattr(state_archive, "_copy", note)
    back_up(state_file, tmp_path / "backup.tar")
    assert copied == ["state-operations.db", "state.db"]


def test_the_log_of_the_old_state_is_not_taken_for_the_new_ones(state_file: Path, tmp_path: Path) -> None:
    """As a killed server leaves it."""
    back_up(state_file, tmp_path / "backup.tar")
    add_node(state_file, "later")
    killed = sqlite3.connect(state_file)
    killed.execute("UPDATE nodes SET address = 'changed'")
    killed.commit()
    assert state_file.with_name("state.db-wal").exists()
    restore(tmp_path / "backup.tar", state_file, newest_schema=HEAD)
    assert nodes(state_file) == ["gpu"]
    killed.close()


def test_nothing_is_overwritten_by_a_backup(state_file: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_text("precious")
    with pytest.raises(NameTaken):
        back_up(state_file, tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").read_text() == "precious"
    with pytest.raises(NotFound):
        back_up(tmp_path / "none.db", tmp_path / "other.tar")
    with pytest.raises(InvalidInput, match="can't write"):
        back_up(state_file, Path("/dev/null/backup.tar"))


def test_the_state_of_a_newer_program_is_refused(state_file: Path, tmp_path: Path) -> None:
    back_up(state_file, tmp_path / "backup.tar")
    with pytest.raises(Unsupported, match="newer vendetta"):
        restore(tmp_path / "backup.tar", state_file, newest_schema="0000")
    assert nodes(state_file) == ["gpu"]


@pytest.mark.parametrize("harm", ["letter", "tar", "database", "cut"])
def test_what_is_damaged_replaces_nothing(state_file: Path, tmp_path: Path, harm: str) -> None:
    good, bad = tmp_path / "good.tar", tmp_path / "bad.tar"
    manifest = back_up(state_file, good)
    if harm == "letter":
        bad.write_text("this is a letter")
    elif harm == "cut":
        bad.write_bytes(good.read_bytes()[:20_000])
    else:
        (tmp_path / "state.db").write_text("this is a letter" * 500)
        (tmp_path / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        with tarfile.open(bad, "w") as archive:
            for name in ("manifest.json", "state.db") if harm == "database" else ("state.db",):
                archive.add(tmp_path / name, name)
    with pytest.raises(InvalidInput):
        restore(bad, state_file, newest_schema=HEAD)
    assert nodes(state_file) == ["gpu"]
    with pytest.raises(NotFound):
        restore(tmp_path / "none.tar", state_file, newest_schema=HEAD)


def test_a_manifest_says_what_it_is_of(state_file: Path, tmp_path: Path) -> None:
    back_up(state_file, tmp_path / "backup.tar")
    with tarfile.open(tmp_path / "backup.tar") as archive:
        content = archive.extractfile("manifest.json")
        assert content
        assert msgspec.json.decode(content.read(), type=Manifest).format == 1
        assert archive.getnames() == ["manifest.json", "state.db", "operations.db"]
