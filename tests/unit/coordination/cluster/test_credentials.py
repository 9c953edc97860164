"""Host keys on their way to the database: who needs them there waits, but not for ever, and not for others' faults."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from vendetta.coordination.cluster.credentials import Credentials
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.store import Credential, Store, StoreUnavailable


class Database:
    """Of a store that is shared. `error` is what is raised by what is written."""

    shared = True

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.written: list[str] = []
        self.tried = asyncio.Event()

    @property
    def credentials(self) -> "Database":
        return self

    async def found(self, own: Sequence[Credential]) -> bool:
        return True

    async def put(self, credentials: Sequence[Credential]) -> None:
        self.tried.set()
        if self.error:
            raise self.error
        self.written += [one.name for one in credentials]


class Pins:
    """`HostKeys` that has none."""

    def __init__(self) -> None:
        self.accept: Callable[[str, str | None], None] = lambda name, lines: None

    def pins(self) -> Mapping[str, str]:
        return {}

    def on_change(self, listener: Callable[[str, str | None], None]) -> None:
        self.accept = listener


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def pins() -> Pins:
    return Pins()


@pytest.fixture
async def credentials(database: Database, pins: Pins, tmp_path: Path) -> AsyncIterator[Credentials]:
    made: Any = Credentials(cast(Store, database), cast(HostKeys, pins), cast(Keys, None), tmp_path / "keys")
    async with made:
        yield made


async def test_they_are_written_before_who_waits_goes_on(
    credentials: Credentials, database: Database, pins: Pins
) -> None:
    pins.accept("gpu", "ssh-ed25519 AAAA")
    await credentials.settled()
    assert database.written == ["gpu"]


async def test_nobody_waits_for_a_database_that_is_away(
    credentials: Credentials, database: Database, pins: Pins
) -> None:
    database.error = StoreUnavailable("gone")
    pins.accept("gpu", "ssh-ed25519 AAAA")
    with pytest.raises(StoreUnavailable, match="can't be shared"):
        await credentials.settled()
    database.error = None
    while database.written != ["gpu"]:
        database.tried.clear()
        await database.tried.wait()
    await credentials.settled()


async def test_one_that_cannot_be_written_holds_up_no_other(
    credentials: Credentials, database: Database, pins: Pins
) -> None:
    database.error = ValueError("too long")
    with capture_logs() as logs:
        pins.accept("gpu", "ssh-ed25519 AAAA")
        await credentials.settled()
    assert [entry["event"] for entry in logs] == ["host key not shared"]
    database.error = None
    pins.accept("arm", "ssh-ed25519 AAAA")
    await credentials.settled()
    assert database.written == ["arm"]
