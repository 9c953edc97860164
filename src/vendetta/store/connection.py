"""What statements are executed on, whichever the database."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import msgspec
from sqlalchemy import CursorResult, Dialect, Executable, text

T = TypeVar("T")

JSON: dict[str, Any] = {
    "json_serializer": lambda value: msgspec.json.encode(value).decode(),
    "json_deserializer": msgspec.json.decode,
}
"""How an engine keeps JSON."""

_AFTER = "what to do after the commit"


class Connection(Protocol):
    """SQLAlchemy's `AsyncConnection`, or what stands in for it on SQLite."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def info(self) -> dict[Any, Any]: ...

    async def execute(self, statement: Executable, parameters: Any = None, /) -> CursorResult[Any]: ...

    async def run_sync(self, act: Callable[..., T], /, *arguments: Any) -> T: ...


class Backend(Protocol):
    """SQLite, or PostgreSQL. Everything raises what SQLAlchemy raises, and `TimeoutError`."""

    def read(self) -> AbstractAsyncContextManager[Connection]: ...

    def write(self, *, in_time: bool) -> AbstractAsyncContextManager[Connection]: ...

    def lock(self, name: str) -> AbstractAsyncContextManager[None]: ...

    async def close(self) -> None: ...


def is_shared(connection: Connection) -> bool:
    """Whether processes on other machines may use its database too."""
    return connection.dialect.name != "sqlite"


def expect_acts(connection: Connection) -> list[Callable[[], None]]:
    """Where what is to be done after the commit is kept, from now on."""
    acts: list[Callable[[], None]] = []
    connection.info[_AFTER] = acts
    return acts


def after_commit(connection: Connection, act: Callable[[], None]) -> None:
    """On SQLite: `act` is called once the transaction that `write` gave is committed, and only then."""
    connection.info[_AFTER].append(act)


async def hold(connection: Connection, name: str) -> None:
    """From here to the end of its transaction, no other one holds `name`. On SQLite there is no other one."""
    if is_shared(connection):
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
