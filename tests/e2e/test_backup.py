"""`vendetta server backup` and `restore`, of a server that runs."""

import os
from pathlib import Path

from tests.e2e.harness import Vendetta, fresh_vendetta


def test_a_backup_of_a_running_server_is_restored(tmp_path: Path) -> None:
    archive = str(tmp_path / "backup.tar")
    with fresh_vendetta() as vendetta:
        vendetta("token", "create", "before")
        taken = vendetta.json("server", "backup", archive)
        assert (taken["file"], taken["manifest"]["nodes"]) == (archive, 0)
        vendetta("token", "create", "after")
        assert "vendetta server stop" in vendetta("server", "restore", archive, "--yes", status=2).stderr
        vendetta("server", "stop")
        assert "--yes" in vendetta("server", "restore", archive, status=2).stderr
        assert "restored 0 nodes" in vendetta("server", "restore", archive, "--yes").stdout
        assert [token["name"] for token in vendetta.json("token", "list")] == ["before"]
        assert vendetta.json("server", "status")["id"] == taken["manifest"]["server_id"]
        assert not list(Path(vendetta.home).glob("**/.vendetta-*"))


def test_the_state_in_postgresql_has_tools_of_its_own() -> None:
    with fresh_vendetta(VENDETTA_STATE_FILE="postgresql://me:s3cret@127.0.0.1:1/x") as vendetta:
        for command, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
            refused = vendetta("server", command, "file", "--yes" if command == "restore" else "--", status=None)
            assert tool in refused.stderr
            assert "s3cret" not in refused.stderr
    assert not os.path.exists("file")


def test_of_no_state_there_is_no_backup(tmp_path: Path) -> None:
    with fresh_vendetta() as vendetta:
        assert refuse(vendetta, "backup", tmp_path) == refuse(vendetta, "restore", tmp_path) == 3


def refuse(vendetta: Vendetta, command: str, folder: Path) -> int:
    return vendetta("server", command, str(folder / "none.tar"), status=None).status
