"""What every replica needs to log in to the nodes: accepted host keys, and the server's own private keys.

On PostgreSQL alone: with SQLite they are the files of the one server. The database is as secret as these files are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from .database import Access
from .tables import credentials, properties

CredentialKind = Literal["host_key", "key"]

LATE_SECONDS = 10.0
"""What was changed so long before is read again: its transaction may have ended later than it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Hold a `host_key`, lines of known_hosts by the name of their pin, or a `key`, a file of the keys' folder.

    `content` is None where there is none of that name any more.
    """

    kind: CredentialKind
    name: str
    content: str | None


class Credentials:
    def __init__(self, database: Access) -> None:
        self._database = database

    async def found(self, given: Iterable[Credential]) -> bool:
        """Begin with the given credentials, where nobody has begun before. Returns whether it did."""
        mark = insert(properties).values(name="credentials", value="shared")
        marked = mark.on_conflict_do_nothing().returning(properties.c.name)
        async with self._database.write() as connection:
            if (await connection.execute(marked)).first() is None:
                return False
            for one in given:
                values = {"kind": one.kind, "name": one.name, "content": one.content, "changed_at": func.now()}
                await connection.execute(insert(credentials).values(values))
        return True

    async def put(self, changed: Iterable[Credential], *, unless_there: bool = False) -> None:
        """Write all of them at once. `unless_there`: where there is one of that name already, that one stays."""
        async with self._database.write() as connection:
            for one in sorted(changed, key=lambda one: (one.kind, one.name)):
                values = {"kind": one.kind, "name": one.name, "content": one.content, "changed_at": func.now()}
                there = credentials.c.content.is_(None) if unless_there else None
                query = insert(credentials).values(values)
                await connection.execute(
                    query.on_conflict_do_update(
                        index_elements=["kind", "name"],
                        set_={"content": one.content, "changed_at": func.now()},
                        where=there,
                    )
                )

    async def changed(self, since: datetime | None) -> tuple[Sequence[Credential], datetime]:
        """Return those changed since that time of the database (None: all), and what time it is there now."""
        query = select(credentials.c.kind, credentials.c.name, credentials.c.content)
        if since is not None:
            query = query.where(credentials.c.changed_at > since - timedelta(seconds=LATE_SECONDS))
        async with self._database.read() as connection:
            now: datetime = (await connection.execute(select(func.now()))).scalar_one()
            rows = await connection.execute(query)
            return [Credential(kind=row.kind, name=row.name, content=row.content) for row in rows], now
