"""What happened: written to the store, and told to everyone who watches.

A watcher reads from the store and is only woken here, so a slow one loses nothing, and holds nothing up.
"""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from vendetta.models import Event
from vendetta.store import Page, Store

KEEP = 100_000
PRUNE_EVERY = 1_000
READ_AT_ONCE = 500


class Events:
    """Entered before it is watched, closed when it is left."""

    def __init__(self, store: Store, *, keep: int = KEEP) -> None:
        self._store = store
        self._keep = keep
        self._last = 0
        self._news = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._last = await self._store.events.last()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Watchers get what is stored, and end."""
        self._closed = True
        self._news.set()

    async def emit(self, kind: str, subject: str, actor: str = "server", **data: Any) -> Event:
        event = await self._store.events.append(kind, subject, actor, data)
        await self.announce(event)
        return event

    async def announce(self, event: Event) -> None:
        """That one was appended, in a transaction which has ended since."""
        self._last = max(self._last, event.sequence)
        news, self._news = self._news, asyncio.Event()
        news.set()
        if event.sequence % PRUNE_EVERY == 0:
            await self._store.events.prune(self._keep)

    async def list(self, since: int = 0, limit: int = 100) -> Page[Event]:
        """Those above `since`, the oldest first; the cursor of a page is the `since` of the next."""
        return await self._store.events.list(since, limit)

    def watch(self, since: int | None = None) -> AsyncIterator[Event]:
        """Every event above `since` (None: that happens from this call on), each once, in order, as they come."""
        return self._follow(self._last if since is None else since)

    async def _follow(self, since: int) -> AsyncIterator[Event]:
        while True:
            # taken before the store is read, so that what is appended meanwhile wakes
            news, closed = self._news, self._closed
            page = await self._store.events.list(since, READ_AT_ONCE)
            for event in page.items:
                since = event.sequence
                yield event
            if not page.items:
                if closed:
                    return
                await news.wait()
