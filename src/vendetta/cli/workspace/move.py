"""`vendetta workspace move`."""

from collections.abc import Sequence
from typing import Any

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import follow_result
from vendetta.cli.many import Verb, change_many, choose, selecting
from vendetta.cli.output import write_done
from vendetta.cli.params import LONG_DEADLINE, PAIR, only_given
from vendetta.cli.session import Session
from vendetta.models import MoveResult, Operation


@command("move", examples="vendetta workspace move web --to spare\nvendetta workspace move --all --node gpu")
@selecting("workspace")
@click.option("--to", metavar="NODE", help="The node that it goes to.", shell_complete=complete.node_names)
@click.option("--to-label", type=PAIR, multiple=True, help="To a node with this label; may be repeated.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=3600),
    metavar="SECONDS",
    help="How long it may take to end by itself (default 10).",
)
@LONG_DEADLINE
@pass_session
def move(
    session: Session,
    to: str | None,
    to_label: Sequence[tuple[str, str]],
    timeout: float | None,
    deadline: float | None,
    **chosen: Any,
) -> int:
    """Take workspaces to another node, with their disks and snapshots.

    One that runs is stopped for it, and started again there; only then is it removed where it was. What lies outside of
    its disk, a mounted directory or a volume, stays behind, so that such a workspace isn't moved.
    """
    selection = choose(session, "workspace", **chosen)
    if selection is None:
        return exits.DONE
    placement = dict(to_label)
    if not selection.is_one:
        config = only_given(node=to, placement=placement, timeout_seconds=timeout)
        return change_many(session, Verb("workspace", "move", "moved"), selection, config, deadline=deadline)
    [name] = selection.names

    def submit(name: str) -> Operation:
        return session.client.workspaces.move(
            name, node=to, placement=placement, timeout_seconds=timeout, deadline_seconds=deadline
        )

    result = follow_result(session, name, submit, MoveResult)
    if result.left_behind:
        session.note(f"note: {result.left_behind}")
    workspace = result.workspace
    write_done(session, workspace, name, f"workspace {name} is {workspace.state} on node {workspace.node}")
    return exits.DONE
