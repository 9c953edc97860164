"""With the state in PostgreSQL: a server that is killed at random moments loses nothing there either."""

from collections.abc import Iterator

import pytest
from tests.e2e.harness import Vendetta, fresh_vendetta
from tests.e2e.test_killed_at_any_moment import *  # noqa: F403 - the same promises


@pytest.fixture
def vendetta(database_url: str) -> Iterator[Vendetta]:
    with fresh_vendetta(VENDETTA_STATE_FILE=database_url) as vendetta:
        yield vendetta
