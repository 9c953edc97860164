"""The workspaces, by name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from vendetta.errors import WorkspaceNotFound
from vendetta.models import Workspace

from .named import EVERY, NamedTable
from .rows import Page, parse_rows
from .tables import workspaces

_AT_ONCE = 500
"""Names in one statement."""
_OTHERS = (
    select(workspaces)
    .where(workspaces.c.node == bindparam("node"), workspaces.c.state.not_in(bindparam("states", expanding=True)))
    .order_by(workspaces.c.name)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """Add up what the workspaces of a node may use, by their specs: those without a limit count for nothing."""

    workspaces: int = 0
    cpus: float = 0.0
    memory_bytes: int = 0


class Workspaces(NamedTable[Workspace]):
    """Keep the workspaces, as rows. `since` is the date of `state`."""

    model = Workspace
    table = workspaces
    noun = "workspace"
    dated = "state"
    absent = WorkspaceNotFound

    async def all(
        self, *, node: str | None = None, provider: str | None = None, labels: Mapping[str, str] = EVERY
    ) -> Sequence[Workspace]:
        return await self._all(labels, node=node, provider=provider)

    async def others(self, node: str, without: Collection[str]) -> Sequence[Workspace]:
        """Return those of the node that are in none of the states of `without`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_OTHERS, {"node": node, "states": list(without)})).all()
        return parse_rows(Workspace, rows)

    async def list(
        self,
        *,
        node: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] = EVERY,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Workspace]:
        return await self._page(labels, limit, cursor, node=node, provider=provider, state=state)

    async def observe(self, before: Workspace, findings: Mapping[str, Any], *, guarded: bool) -> Workspace | None:
        """Write what was found. `guarded`: only if nobody has written what they saw, or did, since `before` was read.

        Returns the workspace; None where somebody has, or it is gone.
        """
        columns = self.table.c
        as_before = (columns.state == before.state, columns.observed_at.is_not_distinct_from(before.observed_at))
        conditions = (columns.id == before.id, *(as_before if guarded else ()))
        return await self._update(before.name, findings, *conditions)

    async def seen(self, names: Sequence[str], observed_at: datetime) -> None:
        """Set `observed_at` of these workspaces; nothing else changes."""
        for start in range(0, len(names), _AT_ONCE):
            query = update(self.table).where(self.table.c.name.in_(names[start : start + _AT_ONCE]))
            async with self._database.write() as connection:
                await connection.execute(query.values(observed_at=observed_at))

    async def count_by_state(self) -> Mapping[str, int]:
        query = select(self.table.c.state, func.count().label("number")).group_by(self.table.c.state)
        async with self._database.read() as connection:
            return {row.state: row.number for row in await connection.execute(query)}

    async def kinds(self, node: str) -> frozenset[str]:
        """Return the technologies of the workspaces on a node."""
        query = select(self.table.c.provider).distinct().where(self.table.c.node == node)
        async with self._database.read() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def kinds_by_node(self) -> Sequence[tuple[str, str]]:
        """Return each node that has workspaces, with each of their technologies: pairs of names."""
        query = select(self.table.c.node, self.table.c.provider).distinct()
        async with self._database.read() as connection:
            return [(row.node, row.provider) for row in await connection.execute(query)]

    async def promised(
        self, nodes: Collection[str] | None = None, *, without: Collection[str] = ()
    ) -> Mapping[str, Committed]:
        """Add up, by node, what workspaces may use, of the nodes named or (None) all that have any.

        Workspaces in a state of `without` don't count.
        """
        node = self.table.c.node
        query = select(
            node,
            func.count().label("workspaces"),
            func.coalesce(func.sum(self.table.c.cpus), 0.0).label("cpus"),
            func.coalesce(func.sum(self.table.c.memory_bytes), 0).label("memory_bytes"),
        ).where(self.table.c.state.not_in(without))
        if nodes is not None:
            query = query.where(node.in_(nodes))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.group_by(node))).all()
        return {
            row.node: Committed(workspaces=row.workspaces, cpus=float(row.cpus), memory_bytes=int(row.memory_bytes))
            for row in rows
        }
