"""`vendetta node list` and `vendetta node status`."""

from collections.abc import Sequence
from typing import get_args

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_list, write_one
from vendetta.cli.params import PAIR
from vendetta.cli.session import Session
from vendetta.models import NodeStatus

from .view import NODE


@command("list", examples="vendetta node list --label zone=lab\nvendetta node list -o json")
@click.option("--label", "-l", "labels", type=PAIR, multiple=True, help="Only those with this label.")
@click.option("--status", type=click.Choice(get_args(NodeStatus)), help="Only those in this status.")
@pass_session
def list_(session: Session, labels: Sequence[tuple[str, str]], status: str | None) -> None:
    """List the nodes."""
    write_list(session, session.client.nodes.list(labels=dict(labels), status=status), NODE)


@command("status", examples="vendetta node status gpu --watch")
@click.argument("name", shell_complete=complete.node_names)
@click.option("--watch", "-w", is_flag=True, help="Go on with each change.")
@pass_session
def status(session: Session, name: str, watch: bool) -> None:
    """Show one node: its link, its engines, its resources.

    With --watch, on a terminal: a picture that stays up to date. Else a line for each change, in JSON with -o json.
    """
    if watch:
        from .watching import watch as go_on

        go_on(session, name)
    else:
        write_one(session, session.client.nodes.get(name), NODE)
