"""`vendetta events`: what happened, and what happens."""

import sys
from collections.abc import Mapping, Sequence

import click

from vendetta.cli.command import command, pass_session
from vendetta.cli.formats import format_clock, format_pairs, to_yaml
from vendetta.cli.output import View, write_json_line, write_list, write_text
from vendetta.cli.session import Session
from vendetta.models import Event

MISSED = "events.missed"
"""Shown in place of events that aren't kept any more: a filter can't tell whether it would have matched them."""

EVENT = View[Event](
    name=lambda event: str(event.sequence),
    columns={
        "SEQUENCE": lambda event: str(event.sequence),
        "TIME": lambda event: format_clock(event.time),
        "KIND": lambda event: event.kind,
        "SUBJECT": lambda event: event.subject,
        "ACTOR": lambda event: event.actor,
        "DATA": lambda event: format_data(event.data),
    },
    lines=lambda event: [],
)


@command(
    "events",
    examples="""
        vendetta events --since 120
        vendetta events -f --kind workspace --kind node.offline
        vendetta events -f -o json | jq .kind
    """,
)
@click.option("--follow", "-f", is_flag=True, help="Go on with each event as it happens.")
@click.option("--since", type=click.IntRange(min=0), metavar="N", help="Only those after the sequence number N.")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only those: a noun, or a noun.verb.")
@click.option("--subject", metavar="NAME", help="Only those about it: a node, a workspace, an operation.")
@pass_session
def events(session: Session, follow: bool, since: int | None, kinds: Sequence[str], subject: str | None) -> None:
    """Show the events: all that are kept, or with -f those from now on.

    With -f and -o json, each event is one line. It goes on over a lost connection and a restart of the server.
    """

    def is_meant(event: Event) -> bool:
        noun = event.kind.partition(".")[0]
        if event.kind == MISSED:
            return True
        return (not kinds or event.kind in kinds or noun in kinds) and subject in (None, event.subject)

    if not follow:
        write_list(session, [event for event in session.client.events.list(since=since) if is_meant(event)], EVENT)
        return
    for event in session.client.events.watch(since=since):
        if is_meant(event):
            _write(session, event)
            sys.stdout.flush()


def format_data(data: Mapping[str, object]) -> str:
    """Return the data as `key=value` pairs, without empty values; texts of several words in quotes."""
    shown = {name: " | ".join(map(str, value)) if isinstance(value, list) else value for name, value in data.items()}
    quoted = {name: f'"{value}"' if " " in str(value) else value for name, value in shown.items()}
    return format_pairs({name: value for name, value in quoted.items() if value not in (None, "")})


def _write(session: Session, event: Event) -> None:
    if session.output == "json":
        write_json_line(event)
    elif session.output == "yaml":
        write_text(f"---\n{to_yaml(event)}")
    elif session.output == "name":
        write_text(f"{event.sequence}\n")
    else:
        # a stream has no widest row: the columns are as wide as is usual
        clock, pairs = format_clock(event.time), format_data(event.data)
        write_text(f"{event.sequence:<6} {clock}  {event.kind:<22} {event.subject:<16} {event.actor:<12} {pairs}\n")
