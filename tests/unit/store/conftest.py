from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vendetta.store import Store


@pytest.fixture
def state_file(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "state.db")


@pytest.fixture
async def store(state_file: str) -> AsyncIterator[Store]:
    async with Store.open(state_file) as store:
        yield store
