"""What long work shows on a terminal: a line for each operation, drawn by rich, which is imported only then."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vendetta.models import Operation

from .session import Session

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress:
    """Progress without a terminal: a note for each node that is waited for, since that may take long."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._noted: set[tuple[str, str]] = set()

    def show(self, name: str, operation: Operation) -> None:
        now = operation.progress
        if now and now.waiting_for and (name, now.waiting_for) not in self._noted:
            self._noted.add((name, now.waiting_for))
            self._note(f"{name}: {now.message}")

    def end(self, name: str) -> None:
        self._noted = {noted for noted in self._noted if noted[0] != name}


class TerminalProgress(Progress):
    def __init__(self, display: "RichProgress", note: Callable[[str], None]) -> None:
        super().__init__(note)
        self._display = display
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, operation: Operation) -> None:
        now = operation.progress
        message = now.message if now else operation.state
        if name not in self._tasks:
            self._tasks[name] = self._display.add_task("", total=None, workspace=name)
        self._display.update(
            self._tasks[name],
            description=message,
            total=now.total if now else None,
            completed=(now.current or 0) if now else 0,
        )

    def end(self, name: str) -> None:
        if name in self._tasks:
            self._display.remove_task(self._tasks.pop(name))


@contextmanager
def open_progress(session: Session) -> Iterator[Progress]:
    """Show lines on stderr that disappear at the end."""
    if not session.shows_progress:
        yield Progress(session.note)
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[workspace]}", style="bold"),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1)),
        BarColumn(bar_width=24),
    )
    console = Console(stderr=True, no_color=session.no_color)
    with RichProgress(*columns, console=console, transient=True) as display:
        yield TerminalProgress(display, session.note)


@contextmanager
def open_count(session: Session, message: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar below what is written, which disappears at the end. Call what is yielded for each item."""
    if not session.shows_progress:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, no_color=session.no_color)
    # rich writes what it catches to stderr: data that goes elsewhere is left alone
    with RichProgress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as display:
        task = display.add_task(message, total=total)
        yield lambda: display.advance(task)


@contextmanager
def open_transfer(session: Session, message: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr that disappears at the end. Call what is yielded with the number of further bytes."""
    if not session.shows_progress:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True, no_color=session.no_color)
    with RichProgress(*columns, console=console, transient=True) as display:
        task = display.add_task(message, total=total_bytes)
        yield lambda count: display.advance(task, count)
