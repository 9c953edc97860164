"""`vendetta operation`: what was asked for, how far it is, how it ended."""

from collections.abc import Iterator
from typing import get_args

import click

from vendetta.cli import complete
from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import format_age, format_time, to_json
from vendetta.cli.output import View, colored_state, render_table, write_done, write_list, write_one
from vendetta.cli.session import Session
from vendetta.client.operations import raise_failure
from vendetta.errors import DeadlineExceeded
from vendetta.models import FINISHED, Attempt, Operation, OperationState

operation = Group(
    "operation",
    help="The changes that the server makes: their progress and results.",
    sections={
        "Commands": {
            "list": "vendetta.cli.activity.operation:list_",
            "show": "vendetta.cli.activity.operation:show",
            "wait": "vendetta.cli.activity.operation:wait",
            "cancel": "vendetta.cli.activity.operation:cancel",
        }
    },
    aliases={"ls": "list"},
)


def _lines(operation: Operation) -> Iterator[tuple[str, str]]:
    yield "ID", operation.id
    yield "Kind", operation.kind
    yield "Target", operation.target
    yield "State", colored_state(operation.state)
    if operation.progress and operation.state not in FINISHED:
        yield "Doing", operation.progress.message
    yield "Actor", operation.actor
    yield "Attempts", str(operation.attempts)
    yield "Created", format_time(operation.created_at)
    yield "Started", format_time(operation.started_at)
    yield "Finished", format_time(operation.finished_at)
    yield "Deadline", format_time(operation.deadline)
    if operation.error:
        yield "Error", f"{operation.error.detail} ({operation.error.code})"
        if operation.error.hint:
            yield "Hint", operation.error.hint
    if operation.history:
        titles, *attempts = render_table(_ATTEMPT, map(_attempt, operation.history)).splitlines()
        yield "History", titles
        yield from (("", line) for line in attempts)
    if operation.result:
        for line in to_json(operation.result).splitlines():
            yield ("Result" if line == "{" else ""), line


_ATTEMPT = ("STEP", "TRY", "BEGAN", "TOOK", "OUTCOME")


def _attempt(attempt: Attempt) -> tuple[str, ...]:
    outcome = "done" if attempt.code is None else f"{attempt.error or 'stopped'} ({attempt.code})"
    if attempt.next_try_at:
        outcome += f"; next try by {format_time(attempt.next_try_at)}"
    took = f"{(attempt.ended_at - attempt.started_at).total_seconds():.1f} s"
    return attempt.step, str(attempt.number), format_time(attempt.started_at), took, outcome


OPERATION = View[Operation](
    name=lambda operation: operation.id,
    columns={
        "ID": lambda operation: operation.id,
        "KIND": lambda operation: operation.kind,
        "TARGET": lambda operation: operation.target,
        "STATE": lambda operation: colored_state(operation.state),
        "ACTOR": lambda operation: operation.actor,
        "AGE": lambda operation: format_age(operation.created_at),
    },
    lines=lambda operation: list(_lines(operation)),
)


@command("list", examples="vendetta operation list --state running")
@click.option("--state", type=click.Choice(get_args(OperationState)), help="Only those in this state.")
@click.option("--target", metavar="NAME", help="Only those that act on this.")
@click.option("--kind", metavar="KIND", help="Only those of this kind, such as workspace.create.")
@pass_session
def list_(session: Session, state: str | None, target: str | None, kind: str | None) -> None:
    """List the operations."""
    write_list(session, session.client.operations.list(state=state, target=target, kind=kind), OPERATION)


@command("show")
@click.argument("id_", metavar="ID", shell_complete=complete.operation_ids)
@pass_session
def show(session: Session, id_: str) -> None:
    """Show one operation."""
    write_one(session, session.client.operations.get(id_), OPERATION)


@command("wait")
@click.argument("id_", metavar="ID", shell_complete=complete.operation_ids)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this long (exit 7).")
@pass_session
def wait(session: Session, id_: str, timeout: float | None) -> None:
    """Wait for an operation to end. Exits as the operation failed, if it did."""
    ended = session.client.operations.wait(id_, timeout)
    if ended.state not in FINISHED:
        raise DeadlineExceeded(
            f"operation {id_} is still {ended.state} after {timeout:g} s", hint=f"See: vendetta operation show {id_}"
        )
    write_one(session, ended, OPERATION)
    raise_failure(ended)


@command("cancel")
@click.argument("id_", metavar="ID", shell_complete=complete.operation_ids)
@pass_session
def cancel(session: Session, id_: str) -> None:
    """Ask an operation to stop, and to undo what it began."""
    asked = session.client.operations.cancel(id_)
    state = asked.state if asked.state in FINISHED else "being cancelled"
    write_done(session, asked, asked.id, f"operation {asked.id} is {colored_state(state)}")
