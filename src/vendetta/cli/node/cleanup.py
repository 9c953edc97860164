"""`vendetta node cleanup`: what of ours a node holds is shown, then taken away: that, and nothing else."""

from collections.abc import Mapping, Sequence

import click
import msgspec

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import Following
from vendetta.cli.formats import NOTHING, format_bytes
from vendetta.cli.many import describe
from vendetta.cli.output import View, write_done, write_list
from vendetta.cli.params import DEADLINE
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session
from vendetta.errors import VendettaError
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
        vendetta node cleanup gpu lab
        vendetta node cleanup gpu --all --yes
    """,
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete.node_names)
@click.option("--provider", "-p", help="Only what this technology holds.")
@click.option("--all", "everything", is_flag=True, help="The workspaces and images too, running or not.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def cleanup(
    session: Session,
    names: Sequence[str],
    provider: str | None,
    everything: bool,
    dry_run: bool,
    yes: bool,
    deadline: float | None,
) -> int:
    """Remove what Vendetta left on nodes: whatever is ours there and no workspace stands for.

    It is shown before it is removed. What isn't ours is never touched.
    """
    chosen: dict[str, Sequence[Belonging]] = {}
    for name in dict.fromkeys(names):
        held = session.client.providers.belongings(name, provider=provider)
        chosen[name] = [one for one in held if everything or not one.in_use]
        if dry_run or (chosen[name] and session.output == "table"):
            if len(names) > 1:
                session.note(f"node {name}:")
            write_list(session, chosen[name], BELONGING)
    if dry_run:
        return exits.DONE
    removed, errors = _remove(session, chosen, provider, everything=everything, yes=yes, deadline=deadline)
    for name in chosen:
        if name not in errors:
            result = removed.get(name, CleanupResult())
            write_done(session, result, name, f"{_counted(len(result.removed))} removed from node {name}")
    for name, error in errors.items():
        if len(chosen) == 1:
            raise error
        session.report(error, about=name)
    return exits.FAILED if errors else exits.DONE


def _remove(
    session: Session,
    chosen: Mapping[str, Sequence[Belonging]],
    provider: str | None,
    *,
    everything: bool,
    yes: bool,
    deadline: float | None,
) -> tuple[Mapping[str, CleanupResult], Mapping[str, VendettaError]]:
    """What went, and what failed, by node: all of them side by side. Asks once."""
    going = {name: belongings for name, belongings in chosen.items() if belongings}
    if not going:
        return {}, {}
    confirm_removal(session, f"{_counted(sum(map(len, going.values())))} of node {describe(list(going))}", yes=yes)

    def submit(node: str) -> Operation:
        # what was shown and nothing else, whatever has come since
        ids = [one.id for one in going[node]]
        return session.client.providers.clean_up(
            node, provider=provider, workspaces=everything, only=ids, deadline_seconds=deadline
        )

    outcomes = Following(session, list(going), submit).run()
    errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
    results = {name: outcome.operation.result for name, outcome in outcomes.items() if outcome.operation}
    return {name: msgspec.convert(result, CleanupResult) for name, result in results.items()}, errors


def _counted(number: int) -> str:
    return f"{number} thing{'' if number == 1 else 's'}"
