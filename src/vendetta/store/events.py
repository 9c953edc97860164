"""The events, numbered in the order in which they can be read: who has read one number will see no lower one later."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select

from vendetta.models import Event

from .connection import hold
from .database import Access
from .news import News, Payload
from .rows import Page, build_page
from .tables import events, properties

TOPIC = "events"
"""Of the news of them: each as its transaction ends, in the order of their numbers. The whole `Event`, by its fields;
of one that is too long for the database to carry `sequence`, `kind` and `subject` alone."""

_LINE, _FORGOTTEN = "events", "events_forgotten"

_APPEND = insert(events).returning(events.c.sequence)
_LIST = (
    select(events).where(events.c.sequence > bindparam("since")).order_by(events.c.sequence).limit(bindparam("most"))
)


class Events:
    def __init__(self, database: Access, news: News) -> None:
        self._database = database
        self._news = news

    async def append(self, kind: str, subject: str, actor: str, data: dict[str, Any]) -> Event:
        """Write an event, numbered above all before it, and send it to every process when its transaction ends."""
        time = datetime.now(UTC)
        values = {"time": time, "kind": kind, "subject": subject, "actor": actor, "data": data}
        async with self._database.write() as connection:
            # numbers are given as rows are made, but rows are seen as transactions end: so those stand in line
            await hold(connection, _LINE)
            sequence: int = (await connection.execute(_APPEND, values)).scalar_one()
            event = Event(sequence=sequence, time=time, kind=kind, subject=subject, actor=actor, data=data)
            about = {"sequence": sequence, "kind": kind, "subject": subject}
            await self._news.notify_within(connection, TOPIC, msgspec.to_builtins(event), shorter=about)
        return event

    async def last(self) -> int:
        """Return the number of the newest; 0 where there is none."""
        async with self._database.read() as connection:
            return (await connection.execute(select(func.max(events.c.sequence)))).scalar() or 0

    async def prune(self, keep: int) -> int:
        """Delete all but the newest `keep` numbers. Returns how many events were deleted."""
        newest, forgotten = select(func.max(events.c.sequence)), properties.c.name == _FORGOTTEN
        async with self._database.write() as connection:
            await hold(connection, _LINE)
            last = ((await connection.execute(newest)).scalar() or 0) - keep
            removed = (await connection.execute(delete(events).where(events.c.sequence <= last))).rowcount
            if removed:
                await connection.execute(delete(properties).where(forgotten))
                await connection.execute(insert(properties).values(name=_FORGOTTEN, value=str(last)))
        return removed

    async def forgotten(self) -> int:
        """Return the number up to which they were pruned; 0 where none was."""
        query = select(properties.c.value).where(properties.c.name == _FORGOTTEN)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar() or 0)

    async def list(self, since: int = 0, limit: int = 100) -> Page[Event]:
        """List those with a number above `since`, the oldest first; a page's cursor is the `since` of the next."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_LIST, {"since": since, "most": limit + 1})).all()
        return build_page(Event, rows, limit, lambda row: row.sequence)


def parse_news(payload: Payload) -> Event | None:
    """Return the event that a message carries; None where it was too long to be carried whole."""
    return msgspec.convert(payload, Event) if "data" in payload else None
