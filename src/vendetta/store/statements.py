"""Statements that are built once for each shape: to build and to recognise one costs more than to run it on SQLite."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Column, Select, Update, bindparam, case, select, update

KEY, NOW = "wanted_key", "now_is"
"""Parameters; those of an update's values are `new_value` of the column. None is the name of a column."""


@cache
def select_by(column: Column[Any]) -> Select[Any]:
    """Build the query for the row whose `column` is `KEY`."""
    return select(column.table).where(column == bindparam(KEY))


@cache
def select_key(column: Column[Any]) -> Select[Any]:
    """Build the query for `column` alone, of the row where it is `KEY`."""
    return select(column).where(column == bindparam(KEY))


@cache
def update_by(column: Column[Any], names: tuple[str, ...], dated: str | None = None) -> Update:
    """Build the update that sets the columns of these names where `column` is `KEY`, and returns the row.

    Where that changes the column `dated`, `since` becomes `NOW`.
    """
    table = column.table
    values: dict[str, Any] = {name: bindparam(new_value(name), type_=table.c[name].type) for name in names}
    if dated:
        same = table.c[dated] == values[dated]
        values["since"] = case((same, table.c.since), else_=bindparam(NOW, type_=table.c.since.type))
    return update(table).where(column == bindparam(KEY)).values(values).returning(*table.c)


def build_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Build the parameters of an update from the new values, by the columns' names."""
    return {new_value(name): value for name, value in values.items()}


def new_value(name: str) -> str:
    return f"new_{name}"
