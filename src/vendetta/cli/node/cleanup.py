"""`vendetta node cleanup`: what of ours a node holds is shown, then taken away: that, and nothing else."""

from collections.abc import Sequence

import click
import msgspec

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import follow
from vendetta.cli.formats import NOTHING, format_bytes
from vendetta.cli.output import View, write_done, write_list
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session
from vendetta.models import Belonging, CleanupResult, Operation

BELONGING = View[Belonging](
    name=lambda one: one.id,
    columns={
        "KIND": lambda one: one.kind,
        "NAME": lambda one: one.name,
        "PROVIDER": lambda one: one.provider or NOTHING,
        "WORKSPACE": lambda one: one.workspace or NOTHING,
        "IN USE": lambda one: "yes" if one.in_use else "no",
        "SIZE": lambda one: format_bytes(one.size_bytes) if one.size_bytes is not None else NOTHING,
    },
    lines=lambda one: [],
)


@command(
    "cleanup",
    examples="""
        vendetta node cleanup gpu --dry-run
        vendetta node cleanup gpu
        vendetta node cleanup gpu --all --yes
    """,
)
@click.argument("name", shell_complete=complete.node_names)
@click.option("--provider", "-p", help="Only what this technology holds.")
@click.option("--all", "everything", is_flag=True, help="The workspaces and images too, running or not.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@pass_session
def cleanup(session: Session, name: str, provider: str | None, everything: bool, dry_run: bool, yes: bool) -> None:
    """Remove what Vendetta left on a node: whatever is ours there and no workspace stands for.

    It is shown before it is removed. What isn't ours is never touched.
    """
    held = session.client.providers.belongings(name, provider=provider)
    chosen = [one for one in held if everything or not one.in_use]
    if dry_run or (chosen and session.output == "table"):
        write_list(session, chosen, BELONGING)
    if dry_run:
        return
    removed = _remove(session, name, provider, chosen, everything=everything, yes=yes) if chosen else CleanupResult()
    write_done(session, removed, name, f"{_counted(len(removed.removed))} removed from node {name}")


def _remove(
    session: Session, name: str, provider: str | None, chosen: Sequence[Belonging], *, everything: bool, yes: bool
) -> CleanupResult:
    confirm_removal(session, f"{_counted(len(chosen))} of node {name}", yes=yes)
    submitted: list[Operation] = []

    def submit(node: str) -> Operation:
        # what was shown and nothing else, whatever has come since
        ids = [one.id for one in chosen]
        submitted.append(session.client.providers.clean_up(node, provider=provider, workspaces=everything, only=ids))
        return submitted[-1]

    follow(session, name, submit)
    return msgspec.convert(session.client.operations.get(submitted[-1].id).result, CleanupResult)


def _counted(number: int) -> str:
    return f"{number} thing{'' if number == 1 else 's'}"
