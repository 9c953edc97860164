"""The nodes, by name."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from vendetta.errors import NodeNotFound
from vendetta.models import Node

from .named import EVERY, NamedTable
from .rows import Page
from .tables import nodes


class Nodes(NamedTable[Node]):
    """`since` is the date of `status`."""

    model = Node
    table = nodes
    noun = "node"
    dated = "status"
    absent = NodeNotFound

    async def count_by_status(self) -> Mapping[str, int]:
        query = select(nodes.c.status, func.count().label("number")).group_by(nodes.c.status)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.status: row.number for row in rows}

    async def count_engines(self) -> Mapping[tuple[str, str], int]:
        """By provider and state, of all nodes."""
        async with self._database.read() as connection:
            found = (await connection.execute(select(nodes.c.providers))).scalars().all()
        return Counter((kind, status["state"]) for providers in found for kind, status in providers.items())

    async def all(self, *, labels: Mapping[str, str] = EVERY) -> Sequence[Node]:
        return await self._all(labels)

    async def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Node]:
        return await self._page(labels, limit, cursor, status=status)
