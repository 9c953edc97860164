"""The state in PostgreSQL: what tests/unit/store promises is held here too, by the same tests."""

from collections.abc import AsyncIterator

import pytest

from vendetta.store import Store


@pytest.fixture
def state_file(database_url: str) -> str:
    return database_url


@pytest.fixture
async def store(state_file: str) -> AsyncIterator[Store]:
    async with Store.open(state_file) as store:
        yield store
