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

_HOLD = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_AFTER = "what to do after the commit"


class Connection(Protocol):
    """Execute statements: SQLAlchemy's `AsyncConnection`, or what stands in for it on SQLite."""

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
    """Return whether processes on other machines may use its database too."""
    return connection.dialect.name != "sqlite"


def expect_acts(connection: Connection) -> list[Callable[[], None]]:
    """Return the list that `after_commit` adds to from now on: what is to be called after the commit."""
    acts: list[Callable[[], None]] = []
    connection.info[_AFTER] = acts
    return acts


def after_commit(connection: Connection, act: Callable[[], None]) -> None:
    """Have `act` called once the transaction that `write` gave is committed, and only then. For SQLite alone."""
    connection.info[_AFTER].append(act)


async def hold(connection: Connection, name: str) -> None:
    """Let no other transaction hold `name` from here to the end of this one. On SQLite there is no other one."""
    if is_shared(connection):
        await connection.execute(_HOLD, {"name": name})
