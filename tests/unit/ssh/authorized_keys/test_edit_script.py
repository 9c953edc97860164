"""The script that changes a file on a node, run here by the shells that nodes have, on files with awkward contents."""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.ssh.local_shell import LocalShell

from vendetta.errors import Busy, CommandFailed, Forbidden
from vendetta.ssh.authorized_keys import remote_edit as key_files
from vendetta.ssh.channel import Connection

SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]


def at(home: Path, shell: Sequence[str] = ("sh",)) -> Connection:
    return cast(Connection, LocalShell(home, shell))


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    found: list[str] = request.param
    return found


class Undo(Exception):
    pass


async def change(node: Connection, file: Path, after: bytes, *, keep: bool) -> bytes:
    """What was shown of the file before."""
    shown: list[bytes] = []

    def to(before: bytes) -> bytes:
        shown.append(before)
        return after

    try:
        async with key_files.edited(node, str(file), to) as changed:
            assert not changed or file.read_bytes() == after
            if not keep:
                raise Undo
    except Undo:
        pass
    return shown[0]


@given(before=st.none() | st.binary(), after=st.binary(), mode=st.sampled_from([0o600, 0o644, 0o400, 0o755]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_comes_and_goes_to_the_byte(
    shell: list[str], before: bytes | None, after: bytes, mode: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a 'folder' of $HOME", "authorized_keys")
        if before is not None:
            file.parent.mkdir()
            file.write_bytes(before)
            file.chmod(mode)
        node = at(Path(folder), shell)
        assert asyncio.run(change(node, file, after, keep=False)) == (before or b"")
        assert (file.read_bytes() if file.exists() else None) == before
        assert asyncio.run(change(node, file, after, keep=True)) == (before or b"")
        if before or after:
            assert file.read_bytes() == after
            assert file.stat().st_mode & 0o777 == (0o600 if before is None else mode)
            assert os.listdir(file.parent) == ["authorized_keys"]


async def test_what_the_other_side_of_a_link_is_stays_a_link(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/keys")
    await change(at(tmp_path, shell), tmp_path / "link", b"x\n", keep=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "keys").read_bytes() == b"x\n"
    assert os.listdir(tmp_path / "real") == ["keys"]


async def test_what_somebody_else_wrote_meanwhile_is_not_undone(tmp_path: Path, shell: list[str]) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"a\n")

    async def edit() -> None:
        async with key_files.edited(
            at(tmp_path, shell),
            str(file),
            lambda content: content + b"b\n",
            undo=lambda content: content.replace(b"b\n", b""),
        ):
            file.write_bytes(file.read_bytes() + b"theirs\n")
            raise Undo

    with pytest.raises(Undo):
        await edit()
    assert file.read_bytes() == b"a\ntheirs\n"
    assert os.listdir(tmp_path) == ["keys"]


async def test_a_file_that_is_none_is_refused(tmp_path: Path, shell: list[str]) -> None:
    (tmp_path / "keys").mkdir()
    with pytest.raises((Forbidden, CommandFailed)):
        await change(at(tmp_path, shell), tmp_path / "keys", b"x\n", keep=True)
    assert os.listdir(tmp_path) == ["keys"]


async def test_nothing_is_made_where_nothing_is_to_be(tmp_path: Path, shell: list[str]) -> None:
    async with key_files.edited(at(tmp_path, shell), str(tmp_path / "a" / "b"), lambda c: b"x", make=False) as changed:
        assert not changed
    assert os.listdir(tmp_path) == []


async def test_who_waits_too_long_is_told(tmp_path: Path, shell: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    node, file = at(tmp_path, shell), tmp_path / "keys"
    async with key_files.edited(node, str(file), lambda content: content + b"a\n"):
        monkeypatch.setattr(key_files, "PATIENCE_SECONDS", 0)
        with pytest.raises(Busy, match="somebody else is changing it"):
            await change(node, file, b"b\n", keep=True)
    assert file.read_bytes() == b"a\n"


async def test_a_node_that_hears_no_more_of_us_undoes_it_by_itself(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, shell: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over a link that is dead without a word: its end of the pipe stays open."""
    # its three minutes last until the pipe is opened and closed here, whatever the machine is busy with
    over = tmp_path_factory.mktemp("pipe") / "over"
    os.mkfifo(over)
    sleep = f'sleep() {{ if [ "$1" = 180 ]; then exec cat {shlex.quote(str(over))}; else command sleep "$1"; fi; }}\n'
    monkeypatch.setattr(key_files, "EDIT", sleep + key_files.EDIT)
    file = tmp_path / "keys"
    file.write_bytes(b"a\n")
    process: Any = await at(tmp_path, shell).open_process(["sh", "-s"])
    talk = key_files.Talk(at(tmp_path, shell), str(file), process)
    await talk.begin(make=True)
    await talk.content()
    await talk.write(b"b\n")
    await asyncio.to_thread(lambda: over.open("wb").close())
    assert await process.wait() == 1
    assert file.read_bytes() == b"a\n"
    assert os.listdir(tmp_path) == ["keys"]
    await process.close()


async def test_a_noisy_shell_that_is_none(tmp_path: Path) -> None:
    node = at(tmp_path, ["sh", "-c", "echo This account is not available.; exit 1", "x"])
    with pytest.raises(CommandFailed, match="doesn't run a script"):
        await change(node, tmp_path / "keys", b"x\n", keep=True)
    with pytest.raises(CommandFailed, match="doesn't run a script"):
        await key_files.locate(node)
