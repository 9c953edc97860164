"""SQLite's connections: what is begun on one is brought to its end, also where who began it is cancelled meanwhile.

A statement runs in a thread, which a cancelled task would leave behind with the database locked, and nobody to
unlock it.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")


class UnbrokenConnection(AsyncConnection):
    """The same, but `CancelledError` comes after a statement, never in the middle of it."""

    async def start(self, is_ctxmanager: bool = False) -> Self:
        try:
            await to_its_end(super().start(is_ctxmanager))
        except asyncio.CancelledError:
            if self.sync_connection is not None:  # nobody would close it
                await self.close()
            raise
        return self

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        return await to_its_end(super().execute(*arguments, **options))

    async def exec_driver_sql(self, *arguments: Any, **options: Any) -> Any:
        return await to_its_end(super().exec_driver_sql(*arguments, **options))

    async def run_sync(self, *arguments: Any, **options: Any) -> Any:
        return await to_its_end(super().run_sync(*arguments, **options))

    async def commit(self) -> None:
        await to_its_end(super().commit())

    async def rollback(self) -> None:
        await to_its_end(super().rollback())

    async def close(self) -> None:
        await to_its_end(super().close())


class UnbrokenEngine(AsyncEngine):
    _connection_cls = UnbrokenConnection


async def to_its_end(doing: Coroutine[Any, Any, T]) -> T:
    """Cancelled, it raises `CancelledError` once it is done."""
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # heard of, though the cancellation is what counts
        raise
