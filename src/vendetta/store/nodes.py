"""The nodes, by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

from sqlalchemy import bindparam, func, select

from vendetta.errors import NodeNotFound
from vendetta.models import Node, Way

from .named import EVERY, NamedTable
from .rows import Page, parse_row
from .statements import KEY
from .tables import nodes

_WAY = select(*(nodes.c[field.name] for field in fields(Way))).where(nodes.c.name == bindparam(KEY))
_HOLD = select(nodes).where(nodes.c.name == bindparam(KEY)).with_for_update(read=True)
_BOOT_ID = select(nodes.c.boot_id).where(nodes.c.name == bindparam(KEY))


class Nodes(NamedTable[Node]):
    """Keep the nodes, as rows. `since` is the date of `status`."""

    model = Node
    table = nodes
    noun = "node"
    dated = "status"
    absent = NodeNotFound

    async def way(self, name: str) -> Way:
        """Return how the node is reached, a small part of what `get` reads. Raises `NodeNotFound`."""
        return parse_row(Way, await self._first(_WAY, name))

    async def hold(self, name: str) -> Node:
        """Return it, and let nobody change it before the transaction ends. Raises `NodeNotFound`."""
        return parse_row(Node, await self._first(_HOLD, name))

    async def boot_id(self, name: str) -> str | None:
        """Return the id of the node's boot as last seen; None where it isn't known, or there is no such node."""
        async with self._database.read() as connection:
            boot_id: str | None = (await connection.execute(_BOOT_ID, {KEY: name})).scalar()
        return boot_id

    async def count_by_status(self) -> Mapping[str, int]:
        query = select(nodes.c.status, func.count().label("number")).group_by(nodes.c.status)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.status: row.number for row in rows}

    async def count_engines(self) -> Mapping[tuple[str, str], int]:
        """Count the engines of all nodes, by provider and state."""
        async with self._database.read() as connection:
            found = (await connection.execute(select(nodes.c.providers))).scalars().all()
        return Counter((kind, status["state"]) for providers in found for kind, status in providers.items())

    async def all(self, *, labels: Mapping[str, str] = EVERY) -> Sequence[Node]:
        return await self._all(labels)

    async def list(
        self,
        *,
        labels: Mapping[str, str] = EVERY,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Node]:
        return await self._page(labels, limit, cursor, status=status)
