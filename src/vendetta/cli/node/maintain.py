"""`vendetta node cordon` and `uncordon`: whether anything new is placed on a node."""

from collections.abc import Sequence

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_done
from vendetta.cli.session import Session

_names = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete.node_names)


@command("cordon", examples="vendetta node cordon gpu")
@_names
@pass_session
def cordon(session: Session, names: Sequence[str]) -> None:
    """Place nothing new on nodes. What is there goes on, and can be started, stopped and used as before."""
    for name in names:
        node = session.client.nodes.cordon(name)
        write_done(session, node, node.name, f"node {node.name} cordoned")


@command("uncordon", examples="vendetta node uncordon gpu")
@_names
@pass_session
def uncordon(session: Session, names: Sequence[str]) -> None:
    """Place new workspaces on nodes again."""
    for name in names:
        node = session.client.nodes.uncordon(name)
        write_done(session, node, node.name, f"node {node.name} uncordoned")
