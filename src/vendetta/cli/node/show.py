"""`vendetta node list` and `vendetta node status`."""

import sys
from collections.abc import Sequence
from typing import get_args

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_json_line, write_list, write_one, write_text
from vendetta.cli.params import PAIR
from vendetta.cli.session import Session
from vendetta.models import Node, NodeStatus

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
@click.option("--watch", "-w", is_flag=True, help="Show it again whenever it changes.")
@pass_session
def status(session: Session, name: str, watch: bool) -> None:
    """Show one node: its link, its engines, its resources."""
    node = session.client.nodes.get(name)
    _write(session, node, watch=watch)
    if not watch:
        return
    for event in session.client.events.watch():
        if event.subject == name:
            previous, node = node, session.client.nodes.get(name)
            if _told(previous) != _told(node):
                if session.output == "table":
                    write_text("\n")
                _write(session, node, watch=True)


def _write(session: Session, node: Node, *, watch: bool) -> None:
    if watch and session.output == "json":
        write_json_line(node)
        return
    write_one(session, node, NODE)
    sys.stdout.flush()


def _told(node: Node) -> tuple[object, ...]:
    """What is worth telling: latency changes with each probe."""
    return node.status, node.reason, node.providers, node.host_key, node.cordoned, node.labels, node.address
