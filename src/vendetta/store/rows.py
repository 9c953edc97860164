"""Between rows and models, by name of field; and pages of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Row, Table, and_

from vendetta.errors import InvalidInput

T = TypeVar("T")

LARGEST = 2**63 - 1
"""Of the integers that a database holds."""

AT_ONCE = 1000
"""Of the values that one statement takes; SQLite takes 32,766."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Hold one page of a list. `next_cursor` continues the list after `items`; None at its end."""

    items: list[T]
    next_cursor: str | None = None


def build_values(value: Any) -> dict[str, Any]:
    """Return the columns of a model, or of a mapping of fields. Times stay times: their columns convert them."""
    values: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return values


def parse_row(kind: type[T], row: Row[Any]) -> T:
    """Build a model from a row. Columns that the model has no field for are left out."""
    return parse_rows(kind, [row])[0]


def parse_rows(kind: type[T], rows: Sequence[Row[Any]]) -> list[T]:
    """Build models from the rows of one query: it asks for their names once, which takes as long as a row itself."""
    # msgspec wants plain strings for keys, and a column's name may be SQLAlchemy's own kind of string
    names = [str(name) for name in rows[0]._fields] if rows else []
    return msgspec.convert([dict(zip(names, row, strict=True)) for row in rows], list[kind])  # type: ignore[valid-type]


def build_page(kind: type[T], rows: Sequence[Row[Any]], limit: int, cursor: Callable[[Row[Any]], object]) -> Page[T]:
    """Build a page from up to `limit + 1` rows, of which the last only says that there are more."""
    items = parse_rows(kind, rows[:limit])
    return Page(items=items, next_cursor=str(cursor(rows[limit - 1])) if len(rows) > limit else None)


def match_labels(table: Table, labels: Mapping[str, str]) -> ColumnElement[bool]:
    """Match rows that carry all of the labels; every row where there are none."""
    return and_(True, *(table.c.labels[key].as_string() == value for key, value in labels.items()))


def match_given(table: Table, **wanted: str | None) -> ColumnElement[bool]:
    """Match rows that equal each wanted value which isn't None."""
    return and_(True, *(table.c[name] == value for name, value in wanted.items() if value is not None))


def parse_number(cursor: str) -> int:
    """Return the number that a cursor is. Raises `InvalidInput`."""
    if not cursor.isdecimal() or int(cursor) > LARGEST:
        raise InvalidInput(f'cursor "{cursor}" is none of ours', hint="Take it from next_cursor of the page before.")
    return int(cursor)


def in_pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Iterate over as many of them at a time as one statement takes."""
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
