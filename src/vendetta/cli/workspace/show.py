"""`vendetta workspace list`, `status` and `stats`."""

from collections.abc import Sequence
from typing import get_args

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import View, write_list, write_one
from vendetta.cli.params import PAIR
from vendetta.cli.session import Session
from vendetta.errors import VendettaError
from vendetta.models import Workspace, WorkspaceState

from .view import WORKSPACE, build_stats_lines


@command("list", examples="vendetta workspace list --node gpu\nvendetta ws list --state running -o name")
@click.option("--node", metavar="NODE", help="Only those on this node.", shell_complete=complete.node_names)
@click.option("--provider", metavar="PROVIDER", help="Only those of this provider.")
@click.option("--state", type=click.Choice(get_args(WorkspaceState)), help="Only those in this state.")
@click.option("--label", "-l", "labels", type=PAIR, multiple=True, help="Only those with this label.")
@pass_session
def list_(
    session: Session, node: str | None, provider: str | None, state: str | None, labels: Sequence[tuple[str, str]]
) -> None:
    """List the workspaces."""
    found = session.client.workspaces.list(node=node, provider=provider, state=state, labels=dict(labels))
    write_list(session, found, WORKSPACE)


@command("status")
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete.workspace_names)
@pass_session
def status(session: Session, names: Sequence[str]) -> int:
    """Show one workspace in full, or several in a table."""
    if len(names) == 1:
        write_one(session, session.client.workspaces.get(names[0]), WORKSPACE)
        return exits.DONE
    found: list[Workspace] = []
    worst = exits.DONE
    for name in names:
        try:
            found.append(session.client.workspaces.get(name))
        except VendettaError as exc:
            session.report(exc)
            worst = max(worst, exits.exit_status(exc))
    write_list(session, found, WORKSPACE)
    return worst


@command("stats")
@click.argument("name", shell_complete=complete.workspace_names)
@pass_session
def stats(session: Session, name: str) -> None:
    """Show what a workspace uses now."""
    view = View(name=lambda _: name, columns={}, lines=build_stats_lines)
    write_one(session, session.client.workspaces.stats(name), view)
