"""The replicas: processes that share this database, each by a lease on the database's own clock.

A machine whose clock is wrong changes nothing: `now()` is PostgreSQL's. On SQLite there is one process, and no lease.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, delete, extract, func, insert, literal, or_, select, update

from vendetta.models import Replica

from .connection import Connection
from .database import Access
from .news import News
from .rows import build_values, parse_rows
from .tables import replicas

TOPIC = "replicas"
"""Of the news that one came or went, or let go of nodes. Nothing more is said: it is all in the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Describe a living replica, this one or another. `watches`: it takes nodes.

    `seconds` is the time until its lease ends, None: never.
    """

    id: str
    watches: bool
    seconds: float | None


class Replicas:
    """Keep the replicas' leases. `shared`: others may use the database too, so leases end.

    `steps_version` is that of the steps performed here.
    """

    def __init__(self, database: Access, news: News, steps_version: str, *, shared: bool) -> None:
        self._database = database
        self._news = news
        self._steps_version = steps_version
        self._shared = shared

    async def join(self, replica: Replica, lease_seconds: float) -> Sequence[Peer]:
        """Write its row anew, also where it had one before. Returns all that live, as `renew` does."""
        # on SQLite whatever is there is of a process that has ended
        stale = or_(replicas.c.id == replica.id, replicas.c.expires_at <= func.now()) if self._shared else literal(True)
        kept = {name: value for name, value in build_values(replica).items() if name in replicas.c}
        async with self._database.write() as connection:
            await connection.execute(delete(replicas).where(stale))
            mine = {"watches": True, "steps_version": self._steps_version, "expires_at": self._expiry(lease_seconds)}
            await connection.execute(insert(replicas).values({**kept, **mine}))
            await self._news.notify_within(connection, TOPIC, {})
            return await self._peers(connection)

    async def renew(self, id: str, lease_seconds: float, *, watches: bool) -> Sequence[Peer] | None:
        """Prolong its lease to `lease_seconds` from now, and return all that live, by the database's clock.

        None where its lease is over: others may have taken its place.
        """
        query = update(replicas).where(replicas.c.id == id, build_alive())
        values = {"watches": watches, "expires_at": self._expiry(lease_seconds)}
        async with self._database.write() as connection:
            if not (await connection.execute(query.values(values))).rowcount:
                return None
            return await self._peers(connection)

    async def leave(self, id: str) -> None:
        """Delete its row; where there is none, do nothing."""
        async with self._database.write() as connection:
            await connection.execute(delete(replicas).where(replicas.c.id == id))
            await self._news.notify_within(connection, TOPIC, {})

    async def list(self) -> Sequence[Replica]:
        """List those that live, the oldest first. How many nodes each holds is for `Claims` to say."""
        query = select(replicas).where(build_alive()).order_by(replicas.c.started_at, replicas.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return parse_rows(Replica, rows)

    def _expiry(self, seconds: float) -> Any:
        return func.now() + literal(timedelta(seconds=seconds), Interval) if self._shared else None

    async def _peers(self, connection: Connection) -> Sequence[Peer]:
        left = extract("epoch", replicas.c.expires_at - func.now()) if self._shared else literal(None)
        query = select(replicas.c.id, replicas.c.watches, left.label("seconds")).where(build_alive())
        return [
            Peer(id=row.id, watches=row.watches, seconds=None if row.seconds is None else float(row.seconds))
            for row in await connection.execute(query)
        ]


def build_alive() -> ColumnElement[bool]:
    """Build the condition that a replica's lease is not over, by the database's clock."""
    return or_(replicas.c.expires_at.is_(None), replicas.c.expires_at > func.now())
