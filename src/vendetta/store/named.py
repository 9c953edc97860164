"""What nodes and workspaces have in common: rows of one model by unique name, with a field whose changes are dated."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from vendetta.errors import NameTaken, NotFound, nearest

from .database import Access
from .rows import Page, build_page, build_values, match_given, match_labels, parse_row, parse_rows
from .statements import KEY, NOW, build_parameters, select_by, select_key, update_by

Named = TypeVar("Named")

EVERY: Mapping[str, str] = {}
"""The labels that all carry."""


class NamedTable(Generic[Named]):
    """Keep rows by name. `noun` is what people call a row, and its command; if `dated` changes, `since` becomes now."""

    model: type[Named]
    table: ClassVar[Table]
    noun: ClassVar[str]
    dated: ClassVar[str]
    absent: ClassVar[type[NotFound]]

    def __init__(self, database: Access) -> None:
        self._database = database

    async def add(self, row: Named) -> Named:
        """Insert the row, and return it. Raises `NameTaken`."""
        values = self._kept(row)
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(self.table).values(values))
        except IntegrityError as exc:
            raise NameTaken(
                f"there is already a {self.noun} {values['name']}",
                hint=f"Choose another name, or remove it: vendetta {self.noun} remove {values['name']}",
            ) from exc
        return row

    async def get(self, name: str) -> Named:
        """Return the row of that name. Raises `absent`, with the nearest name as its hint."""
        return parse_row(self.model, await self._first(select_by(self.table.c.name), name))

    async def check(self, name: str) -> None:
        """Raise `absent`, with the nearest name as its hint, where there is no row of that name."""
        await self._first(select_key(self.table.c.name), name)

    async def update(self, name: str, **changes: Any) -> Named:
        """Set the fields that are named, in one statement, so that nobody's change is lost. Raises `absent`."""
        updated = await self._update(name, changes)
        if updated is None:
            raise await self._absent(name)
        return updated

    async def remove(self, name: str) -> None:
        """Delete the row of that name. Raises `absent`."""
        async with self._database.write() as connection:
            removed = await connection.execute(delete(self.table).where(self.table.c.name == name))
        if not removed.rowcount:
            raise await self._absent(name)

    async def count(self) -> int:
        async with self._database.read() as connection:
            number: int = (await connection.execute(select(func.count()).select_from(self.table))).scalar_one()
        return number

    async def _first(self, query: Select[Any], name: str) -> Row[Any]:
        """Return the row that `query` finds by the name, which is its `KEY`. Raises `absent`."""
        async with self._database.read() as connection:
            row = (await connection.execute(query, {KEY: name})).first()
        if row is None:
            raise await self._absent(name)
        return row

    async def _update(self, name: str, changes: Mapping[str, Any], *conditions: ColumnElement[bool]) -> Named | None:
        """Set the fields and return the row; None where there is none of that name for which the conditions hold."""
        # the name too, so that there is something to set where nothing changes
        values = {"name": name, **self._kept(changes)}
        dated = self.dated if self.dated in values and "since" not in values else None
        query = update_by(self.table.c.name, tuple(values), dated)
        if conditions:
            query = query.where(*conditions)
        parameters = {KEY: name, **build_parameters(values)}
        if dated:
            parameters[NOW] = datetime.now(UTC)
        async with self._database.write() as connection:
            row = (await connection.execute(query, parameters)).first()
        return None if row is None else parse_row(self.model, row)

    async def _all(self, labels: Mapping[str, str], **wanted: str | None) -> Sequence[Named]:
        """Return rows in the order of their names. Each carries all `labels`; `wanted` are columns, None for any."""
        query = select(self.table).where(match_given(self.table, **wanted), match_labels(self.table, labels))
        query = query.order_by(self.table.c.name)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return parse_rows(self.model, rows)

    async def _page(
        self, labels: Mapping[str, str], limit: int, cursor: str | None, **wanted: str | None
    ) -> Page[Named]:
        """Return one page of the rows that `_all` returns, after `cursor` (None: the first)."""
        query = select(self.table).where(match_given(self.table, **wanted), match_labels(self.table, labels))
        if cursor is not None:
            query = query.where(self.table.c.name > cursor)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(self.table.c.name).limit(limit + 1))).all()
        return build_page(self.model, rows, limit, lambda row: row.name)

    def _kept(self, value: Any) -> dict[str, Any]:
        """Return the fields that have a column. Others are of the moment: whoever knows them fills them in."""
        return {name: kept for name, kept in build_values(value).items() if name in self.table.c}

    async def _absent(self, name: str) -> NotFound:
        async with self._database.read() as connection:
            names = (await connection.execute(select(self.table.c.name))).scalars().all()
        hint = nearest(name, names).strip() or f"See them with: vendetta {self.noun} list"
        return self.absent(f"there is no {self.noun} {name}", hint=hint, **{self.noun: name})
