from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.client.fake_server import FakeServer, serve

from vendetta.client import Client


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeServer]:
    with serve(tmp_path / "s") as server:
        yield server


@pytest.fixture
def client(fake: FakeServer) -> Iterator[Client]:
    with Client.at(fake.url) as client:
        yield client
