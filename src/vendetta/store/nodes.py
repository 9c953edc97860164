"""The nodes, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from vendetta.errors import NameTaken, NodeNotFound, nearest
from vendetta.models import Node

from .database import Database
from .rows import Page, build_page, build_values, match_given, match_labels, parse_row
from .tables import nodes
from .updates import update_dated


class Nodes:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, node: Node) -> Node:
        """Raises `NameTaken`."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(nodes).values(build_values(node)))
        except IntegrityError as exc:
            raise NameTaken(
                f"there is already a node {node.name}",
                hint=f"Choose another name, or remove it: vendetta node remove {node.name}",
            ) from exc
        return node

    async def get(self, name: str) -> Node:
        """Raises `NodeNotFound`, with the nearest name as its hint."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(nodes).where(nodes.c.name == name))).first()
        if row is None:
            raise await self._absent(name)
        return parse_row(Node, row)

    async def update(self, name: str, **changes: Any) -> Node:
        """Sets the fields that are named, and `since` where `status` changes. Raises `NodeNotFound`."""
        async with self._database.write() as connection:
            row = (await connection.execute(update_dated(nodes, "status", name, changes))).first()
        if row is None:
            raise await self._absent(name)
        return parse_row(Node, row)

    async def remove(self, name: str) -> None:
        """Raises `NodeNotFound`."""
        async with self._database.write() as connection:
            removed = await connection.execute(delete(nodes).where(nodes.c.name == name))
        if not removed.rowcount:
            raise await self._absent(name)

    async def count(self) -> int:
        async with self._database.read() as connection:
            return (await connection.execute(select(func.count()).select_from(nodes))).scalar_one()

    async def count_by_status(self) -> Mapping[str, int]:
        query = select(nodes.c.status, func.count().label("number")).group_by(nodes.c.status)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.status: row.number for row in rows}

    async def all(self) -> Sequence[Node]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(nodes).order_by(nodes.c.name))).all()
        return [parse_row(Node, row) for row in rows]

    async def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Node]:
        """In the order of their names; `labels` are all carried by each."""
        query = select(nodes).where(match_given(nodes, status=status), match_labels(nodes, labels or {}))
        if cursor is not None:
            query = query.where(nodes.c.name > cursor)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(nodes.c.name).limit(limit + 1))).all()
        return build_page(Node, rows, limit, lambda row: row.name)

    async def _absent(self, name: str) -> NodeNotFound:
        async with self._database.read() as connection:
            names = (await connection.execute(select(nodes.c.name))).scalars().all()
        hint = nearest(name, names).strip() or "See them with: vendetta node list"
        return NodeNotFound(f"there is no node {name}", hint=hint, node=name)
