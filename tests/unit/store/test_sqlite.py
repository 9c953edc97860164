"""What is only said of the state in a SQLite file."""

import stat
from pathlib import Path

import pytest

from vendetta.errors import InvalidInput
from vendetta.store import Store


async def test_the_file_and_its_new_folder_are_private(store: Store, state_file: str) -> None:
    path = Path(state_file)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


async def test_what_is_no_state_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("this is a letter, not a database" * 100)
    with pytest.raises(InvalidInput, match="not a database"):
        async with Store.open(str(tmp_path / "state.db")):
            pass


async def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    async with Store.open(str(tmp_path / "50% off?#&.db")) as store:
        assert store.server_id
    assert (tmp_path / "50% off?#&.db").exists()
