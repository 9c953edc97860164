"""`vendetta key rotate`: a new key for the server, put on one node after the other."""

from collections.abc import Sequence

import click
import msgspec

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import OnChange, Submit, follow_result
from vendetta.cli.output import View, write_one
from vendetta.cli.params import DEADLINE
from vendetta.cli.session import Session
from vendetta.models import KeyRotation, NodeRotation, Operation

ROTATION = View[KeyRotation](
    name=lambda rotation: rotation.key.fingerprint,
    columns={},
    lines=lambda rotation: [
        ("New key", f"{rotation.key.type} {rotation.key.fingerprint}"),
        ("Rotated", f"{len(_rotated(rotation))} of {len(rotation.nodes)} nodes"),
        ("Old key", "removed" if rotation.finished else f"kept, for {', '.join(rotation.left)}"),
    ],
)


@command(
    "rotate",
    examples="""
        vendetta key rotate
        vendetta key rotate gpu lab
        vendetta key rotate --type rsa
    """,
)
@click.argument("nodes", nargs=-1, metavar="[NODE]...", shell_complete=complete.node_names)
@click.option("--type", "type_", metavar="TYPE", help="ed25519 (default), ecdsa or rsa.")
@DEADLINE
@pass_session
def rotate(session: Session, nodes: Sequence[str], type_: str | None, deadline: float | None) -> int:
    """Give the server a new key, and the nodes it instead of the old one.

    On each node the new key is proved by a login before the old one goes. A node that fails keeps the old key; the
    server keeps it too until every node has the new one. Run it again for the rest.
    """
    noted: set[str] = set()

    def note(operation: Operation) -> None:
        done = operation.progress.part if operation.progress else None
        if done and session.output == "table":
            _note_outcome(session, msgspec.convert(done, NodeRotation), noted)

    rotation = _follow(session, lambda _: session.client.keys.rotate(nodes, type_, deadline_seconds=deadline), note)
    failed = [outcome for outcome in rotation.nodes if outcome.error]
    if session.output == "table":
        for outcome in rotation.nodes:
            if outcome.error is None:
                _note_outcome(session, outcome, noted)
        for outcome in failed:
            assert outcome.error  # noqa: S101 - that is what makes it one of them
            session.report(outcome.error.to_error(), about=outcome.node)
    write_one(session, rotation, ROTATION)
    if not rotation.finished and session.output == "table":
        session.note("For the rest, mend what is named above and run again: vendetta key rotate")
    return exits.FAILED if failed else exits.DONE


def _follow(session: Session, submit: Submit, on_change: OnChange) -> KeyRotation:
    """Follow the rotation to its end. Ctrl-C cancels it."""
    try:
        return follow_result(session, "server", submit, KeyRotation, on_change)
    except click.exceptions.Exit:
        session.note("Nodes that have the new key keep it; for the rest, run: vendetta key rotate")
        raise


def _note_outcome(session: Session, outcome: NodeRotation, noted: set[str]) -> None:
    """Note which key a node has, once for each node: `noted` are those that were."""
    if outcome.node not in noted:
        noted.add(outcome.node)
        session.note(f"{outcome.node} {'keeps the old key' if outcome.error else 'has the new key'}")


def _rotated(rotation: KeyRotation) -> list[NodeRotation]:
    return [outcome for outcome in rotation.nodes if outcome.error is None]
