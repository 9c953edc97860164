"""Waiting for a database that can't be used just now, so that what was done is written down when it is back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from vendetta.store import StoreUnavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


async def retry_while_store_is_down(
    act: Callable[[], Awaitable[T]], *, stopping: Callable[[], bool] = lambda: False
) -> T:
    """Return what `act` returns, or raise what it raises; call it again for as long as the store can't be used.

    So it must be able to run twice. Raises `StoreUnavailable` once the server is `stopping`.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await act()
        except StoreUnavailable as exc:
            if stopping():
                raise
            if pause == FIRST_PAUSE_SECONDS:
                log.warning("waiting for the database", reason=exc.message)
        # not all at once when it is back
        await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
