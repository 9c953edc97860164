"""`vendetta workspace logs`."""

import sys

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.params import MOMENT
from vendetta.cli.session import Session


@command(
    "logs",
    examples="""
        vendetta workspace logs web --tail 50
        vendetta workspace logs web -f --since 10m
    """,
)
@click.argument("name", shell_complete=complete.workspace_names)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is written from now on.")
@click.option("--tail", "-n", type=click.IntRange(min=0), help="Only the last N lines.", metavar="N")
@click.option("--since", type=MOMENT, help="Only since then: 10m, 2h, or an ISO time.")
@pass_session
def logs(session: Session, name: str, follow: bool, tail: int | None, since: float | None) -> None:
    """Show what a workspace has written."""
    out = sys.stdout.buffer
    with session.client.workspaces.logs(name, follow=follow, tail=tail, since=since) as pieces:
        for piece in pieces:
            out.write(piece)
            out.flush()
