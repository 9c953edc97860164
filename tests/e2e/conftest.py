"""A user for each test, and the names of what they make: nodes are shared, so that names must not collide."""

import secrets
from collections.abc import Iterator

import pytest
from tests.e2e.harness import Vendetta, fresh_vendetta


@pytest.fixture
def vendetta() -> Iterator[Vendetta]:
    with fresh_vendetta() as vendetta:
        yield vendetta


@pytest.fixture
def name() -> str:
    """A workspace's, that no other test has."""
    return f"w-{secrets.token_hex(4)}"
