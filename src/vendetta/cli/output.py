"""Data on stdout: tables for people, JSON and YAML and names for programs."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from click import style, unstyle

from .formats import to_json, to_yaml
from .session import Session

T = TypeVar("T")

_COLORS = {
    "green": ("connected", "running", "healthy", "ok", "succeeded"),
    "yellow": (
        *("connecting", "creating", "moving", "pending", "removing", "starting", "stopping"),
        *("unhealthy", "unknown", "warning"),
    ),
    "red": ("error", "failed", "failure", "missing", "offline"),
    "bright_black": ("cancelled", "skipped", "stopped", "undetected"),
}
_COLOR_OF = {state: color for color, states in _COLORS.items() for state in states}


class View(NamedTuple, Generic[T]):
    """How a kind of thing is shown: its name, its columns in a table, its lines when it is alone."""

    name: Callable[[T], str]
    columns: Mapping[str, Callable[[T], str]]
    lines: Callable[[T], Sequence[tuple[str, str]]]


def write_list(session: Session, items: Sequence[T], view: View[T]) -> None:
    if session.output == "table":
        rows = [[cell(item) for cell in view.columns.values()] for item in items]
        _write(render_table(list(view.columns), rows), color=session.colored())
    else:
        _write_data(session, items, [view.name(item) for item in items])


def write_one(session: Session, item: T, view: View[T]) -> None:
    if session.output == "table":
        _write(render_lines(view.lines(item)), color=session.colored())
    else:
        _write_data(session, item, [view.name(item)])


def write_done(session: Session, item: object, name: str, text: str) -> None:
    """Write the result of a change: a line for people, the object itself for programs."""
    if session.output != "table":
        _write_data(session, item, [name])
    elif not session.quiet:
        _write(f"{text}\n", color=session.colored())


def write_value(session: Session, item: object, value: str) -> None:
    """Write the value that a command is run for, such as an id: with `--quiet` too."""
    if session.output == "table":
        _write(f"{value}\n")
    else:
        _write_data(session, item, [value])


def write_text(text: str) -> None:
    _write(text)


def write_json_line(item: object) -> None:
    """Write an object as one line and flush it, for streams."""
    _write(msgspec.json.encode(item).decode() + "\n")
    sys.stdout.flush()


def colored_state(state: str) -> str:
    color = _COLOR_OF.get(state)
    return style(state, fg=color) if color else state


def render_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with aligned columns, three spaces apart; nothing is cut."""
    table = [list(titles), *(list(row) for row in rows)]
    widths = [max(len(unstyle(row[column])) for row in table) for column in range(len(titles))]
    return "".join(_line(row, widths) for row in table)


def render_lines(pairs: Sequence[tuple[str, str]]) -> str:
    """Return lines of `Label:  text` with the texts aligned; an empty label continues the one above."""
    width = max((len(label) for label, _ in pairs), default=0) + 1
    return "".join(f"{f'{label}:' if label else '':<{width}}  {text}".rstrip() + "\n" for label, text in pairs)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell + " " * (width - len(unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
    return "   ".join(cells).rstrip() + "\n"


def _write_data(session: Session, item: Any, names: Sequence[str]) -> None:
    if session.output == "json":
        _write(to_json(item) + "\n")
    elif session.output == "yaml":
        _write(to_yaml(item))
    else:
        _write("".join(f"{name}\n" for name in names))


def _write(text: str, *, color: bool = False) -> None:
    sys.stdout.write(text if color else unstyle(text))
