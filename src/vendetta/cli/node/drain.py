"""`vendetta node drain` and `undrain`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import click
import msgspec

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import follow_result
from vendetta.cli.formats import NOTHING
from vendetta.cli.many import Verb, change_many, choose, selecting
from vendetta.cli.output import View, colored_state, write_done, write_list, write_one
from vendetta.cli.params import LONG_DEADLINE, PAIR, only_given
from vendetta.cli.session import Session
from vendetta.client.nodes import DrainFields
from vendetta.errors import VendettaError
from vendetta.models import BulkResult, Drained, DrainResult, Operation

RESULT = View[DrainResult](name=lambda result: result.node, columns={}, lines=lambda result: [])
DRAINED = View[Drained](
    name=lambda one: one.name,
    columns={
        "NAME": lambda one: one.name,
        "OUTCOME": lambda one: colored_state(one.outcome),
        "NODE": lambda one: one.node or NOTHING,
        "REASON": lambda one: one.problem.detail if one.problem else one.note or NOTHING,
    },
    lines=lambda one: [],
)


@command(
    "drain",
    examples="""
        vendetta node drain gpu
        vendetta node drain gpu --move --dry-run
        vendetta node drain gpu --move --to spare
        vendetta node undrain gpu
    """,
)
@selecting("node")
@click.option("--move", is_flag=True, help="Move the workspaces to other nodes, rather than stop them.")
@click.option("--to", metavar="NODE", help="With --move: to this node.", shell_complete=complete.node_names)
@click.option("--to-label", type=PAIR, multiple=True, help="With --move: to nodes with this label.")
@click.option("--force", "-f", is_flag=True, help="With --move: stop those that can't be moved.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=3600),
    metavar="SECONDS",
    help="How long each may take to end by itself (default 10).",
)
@click.option("--dry-run", is_flag=True, help="Only show what would become of each workspace.")
@LONG_DEADLINE
@pass_session
def drain(
    session: Session,
    move: bool,
    to: str | None,
    to_label: Sequence[tuple[str, str]],
    force: bool,
    timeout: float | None,
    dry_run: bool,
    deadline: float | None,
    **chosen: Any,
) -> int:
    """Empty nodes before they are worked on: cordon them, then stop their workspaces, or move them.

    Moving takes the disk and the snapshots along; a workspace that runs is stopped for it and started again there.
    What lies outside of its disk (a mounted directory, a volume) stays behind: without --force nothing is done then.
    """
    if (to or to_label or force) and not move:
        raise click.UsageError("--to, --to-label and --force go with --move")
    fields = only_given(
        move=move or None, to=to, placement=dict(to_label), force=force or None, timeout_seconds=timeout
    )
    asked = cast(DrainFields, fields)
    nodes = session.client.nodes
    if dry_run:
        return _for_each(session, chosen, lambda name: _write(session, nodes.plan_drain(name, asked)))

    def submit(name: str) -> Operation:
        return nodes.drain(name, asked, deadline_seconds=deadline)

    return _change(session, Verb("node", "drain", "drained"), chosen, submit, deadline, fields)


@command("undrain", examples="vendetta node undrain gpu")
@selecting("node")
@LONG_DEADLINE
@pass_session
def undrain(session: Session, deadline: float | None, **chosen: Any) -> int:
    """Take nodes back into use: uncordon them, and start again what a drain has stopped there.

    A workspace that somebody started or stopped since is left as it is, and what was moved stays where it is.
    """
    submit = partial(session.client.nodes.undrain, deadline_seconds=deadline)
    return _change(session, Verb("node", "undrain", "undrained"), chosen, submit, deadline)


def _for_each(session: Session, chosen: Mapping[str, Any], do: Callable[[str], None]) -> int:
    selection = choose(session, "node", **chosen)
    for name in selection.names if selection else ():
        do(name)
    return exits.DONE


def _change(
    session: Session,
    verb: Verb,
    chosen: Mapping[str, Any],
    submit: Callable[[str], Operation],
    deadline: float | None,
    config: Mapping[str, Any] | None = None,
) -> int:
    selection = choose(session, "node", **chosen)
    if selection is None:
        return exits.DONE
    if not selection.is_one:
        return change_many(session, verb, selection, config, _notes, deadline=deadline)
    [name] = selection.names
    try:
        result = follow_result(session, name, submit, DrainResult)
    except VendettaError as exc:
        refused = exc.details.get("workspaces")
        if refused and session.output == "table":
            write_list(session, msgspec.convert(refused, list[Drained]), DRAINED)
        raise
    if session.output == "table":
        _write(session, result)
    write_done(session, result, name, f"node {name} {verb.done}: {summarize(result.workspaces)}")
    return exits.DONE


def _write(session: Session, result: DrainResult) -> None:
    if session.output != "table":
        write_one(session, result, RESULT)
    elif result.workspaces and not session.quiet:
        write_list(session, result.workspaces, DRAINED)


def _notes(result: BulkResult) -> Iterator[str]:
    yield summarize(msgspec.convert(result.result, DrainResult).workspaces)


def summarize(workspaces: Sequence[Drained]) -> str:
    """Return the number of each outcome, as `3 stopped, 9 moved`."""
    counts = {one.outcome: 0 for one in workspaces}
    for one in workspaces:
        counts[one.outcome] += 1
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no workspaces"
