"""`vendetta events`: what happened, and what happens."""

import sys

import click

from vendetta.models import Event

from .command import command, pass_session
from .formats import format_clock, format_pairs
from .output import View, to_yaml, write_json_line, write_list, write_text
from .session import Session

EVENT = View[Event](
    name=lambda event: str(event.sequence),
    columns={
        "SEQUENCE": lambda event: str(event.sequence),
        "TIME": lambda event: format_clock(event.time),
        "KIND": lambda event: event.kind,
        "SUBJECT": lambda event: event.subject,
        "ACTOR": lambda event: event.actor,
        "DATA": lambda event: format_pairs(event.data),
    },
    lines=lambda event: [],
)


@command(
    "events",
    examples="""
        vendetta events --since 120
        vendetta events -f -o json | jq .kind
    """,
)
@click.option("--follow", "-f", is_flag=True, help="Go on with each event as it happens.")
@click.option("--since", type=click.IntRange(min=0), metavar="N", help="Only those after the sequence number N.")
@pass_session
def events(session: Session, follow: bool, since: int | None) -> None:
    """Show the events: all that are kept, or with -f those from now on.

    With -f and -o json, each event is one line.
    """
    if not follow:
        write_list(session, session.client.events.list(since=since), EVENT)
        return
    for event in session.client.events.watch(since=since):
        _write(session, event)
        sys.stdout.flush()


def _write(session: Session, event: Event) -> None:
    if session.output == "json":
        write_json_line(event)
    elif session.output == "yaml":
        write_text(f"---\n{to_yaml(event)}")
    elif session.output == "name":
        write_text(f"{event.sequence}\n")
    else:
        # a stream has no widest row: the columns are as wide as is usual
        clock, pairs = format_clock(event.time), format_pairs(event.data)
        write_text(f"{event.sequence:<6} {clock}  {event.kind:<22} {event.subject:<16} {event.actor:<12} {pairs}\n")
