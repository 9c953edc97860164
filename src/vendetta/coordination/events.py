"""Write events to the store, and pass them to everyone who watches.

The news of the server that wrote an event carry it to the others. A watcher that keeps up gets the events that were
received last; one that begins at a number, or is behind, reads the store until it has caught up. So a slow watcher
holds nothing up and takes no memory. It misses only what is pruned before it reads it, and gets an event that says so.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from types import TracebackType
from typing import Any, Self

from vendetta.errors import EventsMissed
from vendetta.models import Event
from vendetta.signals import Signal
from vendetta.store import Page, Store, StoreUnavailable
from vendetta.store.events import TOPIC, parse_news

KEEP = 100_000
RECENT = 1_000
"""How many events a watcher may be behind before it reads the store."""
PRUNE_EVERY = 1_000
READ_AT_ONCE = 500
PAUSE_SECONDS = 1.0

_SEQUENCE = attrgetter("sequence")


class Events:
    """Write events and pass them on. Entered before it is watched, closed when it is left."""

    def __init__(self, store: Store, *, keep: int = KEEP, recent: int = RECENT) -> None:
        self._store = store
        self._keep = keep
        self._last = 0
        self._recent = Recent(recent)
        self._news = asyncio.Event()
        self._closed = False
        self._announced: Signal[Event] = Signal("an event was announced")

    async def __aenter__(self) -> Self:
        self._unsubscribe = self._store.news.listen(TOPIC, self._on_news)
        self._last = max(self._last, await self._store.events.last())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unsubscribe()
        self.close()

    def close(self) -> None:
        """End the watchers, once they have got what is stored."""
        self._closed = True
        self._news.set()

    def on_event(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every event that this server announces from now on."""
        self._announced.listen(listener)

    async def emit(self, kind: str, subject: str, actor: str = "server", **data: Any) -> Event:
        """Write an event, and announce it. Raises `StoreUnavailable`."""
        event = await self._store.events.append(kind, subject, actor, data)
        await self.announce(event)
        return event

    async def announce(self, event: Event) -> None:
        """Pass `event` on to listeners. Call it after the transaction that appended the event was committed."""
        self._last = max(self._last, event.sequence)
        self._announced.send(event)
        if event.sequence % PRUNE_EVERY == 0:
            with suppress(StoreUnavailable):  # then the next time
                await self._store.events.prune(self._keep)

    async def list(self, since: int = 0, limit: int = 100) -> Page[Event]:
        """List those above `since`, the oldest first; the cursor of a page is the `since` of the next.

        Raises `EventsMissed` where some of those aren't kept any more; 0 asks for all that are kept.
        """
        page = await self._store.events.list(since, limit)
        if since and (forgotten := await self._missed(since, page.items)):
            raise EventsMissed(
                f"events {since + 1} to {forgotten} are not kept any more",
                hint=f"Go on with those that are: vendetta events --since {forgotten}",
                forgotten=forgotten,
            )
        return page

    def watch(self, since: int | None = None) -> AsyncIterator[Event]:
        """Yield every event above `since` (None: that happens from this call on), each once, in order, as they come.

        In place of those that aren't kept any more there is one `events.missed`, with the number of the last of them.
        """
        return self._follow(self._last, behind=False) if since is None else self._follow(since, behind=True)

    async def _follow(self, since: int, *, behind: bool) -> AsyncIterator[Event]:
        """Yield the events above `since`. `behind`: there may be some by now, so that the store is read first."""
        if since > self._last:
            # the state was since restored to an earlier one, or another server announced it a moment ago
            since = min(since, await self._store.events.last())
        strict = since != 0  # who asks for those after 0 asks for all that are kept
        while True:
            # taken before it is looked for more, so that what is appended meanwhile wakes
            news, closed = self._news, self._closed
            if self._recent.knows(since) and not (behind or closed):
                if event := self._recent.after(since):
                    since, strict = event.sequence, True
                    yield event
                else:
                    await news.wait()
                continue
            try:
                page = await self._store.events.list(since, READ_AT_ONCE)
                forgotten = await self._missed(since, page.items) if strict else None
            except StoreUnavailable:
                # it comes back, and nothing is lost meanwhile
                if closed:
                    return
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            strict, behind = True, False
            if forgotten:
                yield build_missed(since, forgotten)
            for event in page.items:
                since = event.sequence
                yield event
            if not page.items:
                if closed:
                    return
                await news.wait()

    async def _missed(self, since: int, found: Sequence[Event]) -> int | None:
        """Return the number up to which events after `since` were pruned, None where none was.

        A gap alone says nothing: numbers can be lost.
        """
        if not found or found[0].sequence == since + 1:
            return None
        # those found were kept when they were read, and may have been pruned since
        forgotten = min(await self._store.events.forgotten(), found[0].sequence - 1)
        return forgotten if forgotten > since else None

    def _on_news(self, payload: dict[str, Any] | None) -> None:
        if payload is None:
            self._recent.forget()
        else:
            sequence = payload["sequence"]
            self._last = max(self._last, sequence)
            if event := parse_news(payload):
                self._recent.add(event)
            else:
                self._recent.leave_out(sequence)
        news, self._news = self._news, asyncio.Event()
        news.set()


class Recent:
    """Hold the newest events, at most `most`, for watchers who keep up: nothing here reads the store.

    It holds every event above some number. They must be added in the order of their numbers; numbers may be left out,
    events may not.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: deque[Event] = deque()
        self._since: int | None = None

    def add(self, event: Event) -> None:
        """Add the newest event; one whose number isn't above all before it is ignored."""
        if self._since is None:
            self._since = event.sequence - 1
        if event.sequence <= self._newest:
            return
        self._events.append(event)
        if len(self._events) > self._most:
            self._since = self._events.popleft().sequence

    def leave_out(self, sequence: int) -> None:
        """Begin anew above this number: there is an event of it, which isn't held."""
        if self._since is None or sequence > self._newest:
            self._events.clear()
            self._since = sequence

    def forget(self) -> None:
        """Begin anew with the next event, of which alone it is known what follows: some may have been missed."""
        self._events.clear()
        self._since = None

    def knows(self, since: int) -> bool:
        """Return whether all there is above `since` is held, or will be received."""
        return self._since is not None and self._since <= since

    def after(self, since: int) -> Event | None:
        """Return the first above `since`; None where there is none yet."""
        if not self._events or self._newest <= since:
            return None
        return self._events[bisect_right(self._events, since, key=_SEQUENCE)]

    @property
    def _newest(self) -> int:
        return self._events[-1].sequence if self._events else self._since or 0


def build_missed(since: int, forgotten: int) -> Event:
    """Build the event that stands for those from `since + 1` to `forgotten`, which aren't kept any more."""
    return Event(
        sequence=forgotten,
        time=datetime.now(UTC),
        kind="events.missed",
        subject="events",
        actor="server",
        data={"from": since + 1, "to": forgotten},
    )
