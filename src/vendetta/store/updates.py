"""The update that nodes and workspaces share: fields by name, and the date of the field that is dated."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, case, update
from sqlalchemy.sql.dml import ReturningUpdate

from .rows import build_values


def update_dated(table: Table, dated: str, name: str, changes: Mapping[str, Any]) -> ReturningUpdate[Any]:
    """Where `changes` gives column `dated` another value than it has, `since` becomes now. One statement, no race."""
    # the name too, so that there is something to set where nothing changes
    values = {"name": name, **build_values(changes)}
    if dated in values and "since" not in values:
        values["since"] = case((table.c[dated] == values[dated], table.c.since), else_=datetime.now(UTC))
    return update(table).where(table.c.name == name).values(values).returning(*table.c)
