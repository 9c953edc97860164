"""The same change on many: which are meant, what came of each as it ends, and all of it in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vendetta.errors import VendettaError
from vendetta.models import BulkResult

from . import complete, exits
from .formats import to_yaml
from .output import write_json_line, write_text
from .params import PAIR
from .progress import open_count
from .session import Session

if TYPE_CHECKING:
    from vendetta.client.bulk import WorkspaceBulkFields

SHOWN = 5


@dataclass(frozen=True)
class Verb:
    """`action` is what the server calls it, `done` what it is when it is done ("stopped")."""

    noun: str
    action: str
    done: str


@dataclass(frozen=True)
class Selection:
    """What was chosen; `by_name`: each by its name."""

    names: Sequence[str]
    by_name: bool

    @property
    def is_one(self) -> bool:
        """Whether a single one was named: its outcome is the command's."""
        return self.by_name and len(self.names) == 1

    def __str__(self) -> str:
        """Return the names for a question: a few in full, more with their number."""
        if self.by_name and len(self.names) <= SHOWN:
            return ", ".join(self.names)
        return f"{describe(self.names)} ({len(self.names)} in all)"


def selecting(noun: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the argument and options that choose: NAME…, --label, --all, and --node for workspaces."""
    names, labels = (
        (complete.node_names, complete.node_labels)
        if noun == "node"
        else (complete.workspace_names, complete.workspace_labels)
    )
    options: list[Callable[[Any], Any]] = [
        click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=names),
        click.option(
            "--label",
            "-l",
            "labels",
            type=PAIR,
            multiple=True,
            help=f"Every {noun} with this label; several: with all of them.",
            shell_complete=labels,
        ),
        click.option("--all", "everything", is_flag=True, help=f"Every {noun}."),
    ]
    if noun == "workspace":
        on_node = click.option(
            "--node",
            metavar="NODE",
            help="With --label or --all: those on this node.",
            shell_complete=complete.node_names,
        )
        options.append(on_node)

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return apply


def choose(
    session: Session,
    noun: str,
    names: Sequence[str],
    labels: Sequence[tuple[str, str]],
    everything: bool,
    node: str | None = None,
) -> Selection | None:
    """Return the selection; labels and all are looked up at the server. None, with a note, if nothing matches."""
    if names:
        if labels or everything or node:
            raise click.UsageError("names, and --label, --all or --node, exclude each other")
        return Selection(list(dict.fromkeys(names)), by_name=True)
    if bool(labels) == everything:
        raise click.UsageError("say which: NAME..., --label KEY=VALUE or --all")
    wanted = dict(labels)
    if noun == "node":
        found = [one.name for one in session.client.nodes.list(labels=wanted)]
    else:
        found = [one.name for one in session.client.workspaces.list(node=node, labels=wanted)]
    if not found:
        where = f" on node {node}" if node else ""
        session.note(f"no {noun} has {'these labels' if len(wanted) > 1 else 'this label'}{where}" if wanted
                     else f"there is no {noun}{where}")  # fmt: skip
        return None
    return Selection(found, by_name=False)


def change_many(
    session: Session,
    verb: Verb,
    selection: Selection,
    config: Mapping[str, Any] | None = None,
    note: Note | None = None,
    *,
    deadline: float | None = None,
) -> int:
    """Change each of the selection, and print each outcome as it comes. Return 1 if any failed.

    The changes go on after Ctrl-C. `note` yields further lines for people about a success.
    """
    client = session.client
    change: WorkspaceBulkFields = {"action": verb.action, "names": selection.names, "config": config or {}}
    if deadline is not None:
        change["deadline_seconds"] = deadline
    results: list[BulkResult] = []
    stream = client.nodes.change_many(change) if verb.noun == "node" else client.workspaces.change_many(change)
    try:
        with open_count(session, f"{verb.noun}s {verb.done}", len(selection.names)) as count:
            for result in stream:
                results.append(result)
                _write_outcome(session, verb, result, note)
                count()
    except KeyboardInterrupt:
        session.note(f"\n{_summarize(results, verb)}; what was asked for goes on: vendetta operation list")
        return exits.INTERRUPTED
    except VendettaError:
        if results:
            left = len(selection.names) - len(results)
            session.note(f"{_summarize(results, verb)}, {left} unknown: vendetta operation list")
        raise
    if session.output == "yaml":
        write_text(to_yaml(results))
    session.note(_summarize(results, verb))
    return exits.FAILED if any(result.problem for result in results) else exits.DONE


Note = Callable[[BulkResult], Iterator[str]]


def _write_outcome(session: Session, verb: Verb, result: BulkResult, note: Note | None) -> None:
    if session.output == "json":
        write_json_line(result)
    elif result.problem:
        session.report(result.problem.to_error(), about=result.name)
    elif session.output == "name":
        write_text(f"{result.name}\n")
    elif session.output == "table" and not session.quiet:
        write_text(f"{verb.noun} {result.name} {verb.done}\n")
        for line in note(result) if note else ():
            write_text(f"  {line}\n")


def _summarize(results: Sequence[BulkResult], verb: Verb) -> str:
    """Return the sum of the outcomes, as `97 stopped, 3 failed: a, b, c`."""
    failed = sorted(result.name for result in results if result.problem)
    done = f"{len(results) - len(failed)} {verb.done}"
    return f"{done}, {len(failed)} failed: {describe(failed)}" if failed else done


def describe(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
