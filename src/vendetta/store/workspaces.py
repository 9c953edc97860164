"""The workspaces, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from vendetta.errors import NameTaken, WorkspaceNotFound, nearest
from vendetta.models import Workspace

from .database import Database
from .rows import Page, build_page, build_values, match_given, match_labels, parse_row
from .tables import workspaces
from .updates import update_dated


class Workspaces:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, workspace: Workspace) -> Workspace:
        """Raises `NameTaken`."""
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(workspaces).values(build_values(workspace)))
        except IntegrityError as exc:
            raise NameTaken(
                f"there is already a workspace {workspace.name}",
                hint=f"Choose another name, or remove it: vendetta workspace remove {workspace.name}",
            ) from exc
        return workspace

    async def get(self, name: str) -> Workspace:
        """Raises `WorkspaceNotFound`, with the nearest name as its hint."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(workspaces).where(workspaces.c.name == name))).first()
        if row is None:
            raise await self._absent(name)
        return parse_row(Workspace, row)

    async def update(self, name: str, **changes: Any) -> Workspace:
        """Sets the fields that are named, and `since` where `state` changes. Raises `WorkspaceNotFound`."""
        async with self._database.write() as connection:
            row = (await connection.execute(update_dated(workspaces, "state", name, changes))).first()
        if row is None:
            raise await self._absent(name)
        return parse_row(Workspace, row)

    async def remove(self, name: str) -> None:
        """Raises `WorkspaceNotFound`."""
        async with self._database.write() as connection:
            removed = await connection.execute(delete(workspaces).where(workspaces.c.name == name))
        if not removed.rowcount:
            raise await self._absent(name)

    async def count(self) -> int:
        async with self._database.read() as connection:
            return (await connection.execute(select(func.count()).select_from(workspaces))).scalar_one()

    async def all(self, *, node: str | None = None, provider: str | None = None) -> Sequence[Workspace]:
        query = select(workspaces).where(match_given(workspaces, node=node, provider=provider))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(workspaces.c.name))).all()
        return [parse_row(Workspace, row) for row in rows]

    async def list(
        self,
        *,
        node: str | None = None,
        provider: str | None = None,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Workspace]:
        """In the order of their names; `labels` are all carried by each."""
        query = select(workspaces).where(
            match_given(workspaces, node=node, provider=provider, state=state), match_labels(workspaces, labels or {})
        )
        if cursor is not None:
            query = query.where(workspaces.c.name > cursor)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(workspaces.c.name).limit(limit + 1))).all()
        return build_page(Workspace, rows, limit, lambda row: row.name)

    async def _absent(self, name: str) -> WorkspaceNotFound:
        async with self._database.read() as connection:
            names = (await connection.execute(select(workspaces.c.name))).scalars().all()
        hint = nearest(name, names).strip() or "See them with: vendetta workspace list"
        return WorkspaceNotFound(f"there is no workspace {name}", hint=hint, workspace=name)
