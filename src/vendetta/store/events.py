"""The events, numbered in the order of happening."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, insert, select

from vendetta.models import Event

from .database import Access
from .rows import Page, build_page
from .tables import events

_APPEND = insert(events).returning(events.c.sequence)


class Events:
    def __init__(self, database: Access) -> None:
        self._database = database

    async def append(self, kind: str, subject: str, actor: str, data: dict[str, Any]) -> Event:
        time = datetime.now(UTC)
        values = {"time": time, "kind": kind, "subject": subject, "actor": actor, "data": data}
        async with self._database.write() as connection:
            sequence: int = (await connection.execute(_APPEND, values)).scalar_one()
        return Event(sequence=sequence, time=time, kind=kind, subject=subject, actor=actor, data=data)

    async def last(self) -> int:
        """The number of the newest; 0 where there is none."""
        async with self._database.read() as connection:
            return (await connection.execute(select(func.max(events.c.sequence)))).scalar() or 0

    async def prune(self, keep: int) -> int:
        """Forgets all but the newest `keep` numbers; how many were forgotten."""
        newest = select(func.max(events.c.sequence)).scalar_subquery()
        async with self._database.write() as connection:
            return (await connection.execute(delete(events).where(events.c.sequence <= newest - keep))).rowcount

    async def list(self, since: int = 0, limit: int = 100) -> Page[Event]:
        """Those with a number above `since`, the oldest first; the cursor of a page is the `since` of the next."""
        query = select(events).where(events.c.sequence > since).order_by(events.c.sequence).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return build_page(Event, rows, limit, lambda row: row.sequence)
