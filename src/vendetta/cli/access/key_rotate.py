"""`vendetta key rotate`: a new key for the server, told node by node."""

from collections.abc import Sequence
from contextlib import suppress

import click
import msgspec

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import View, write_one
from vendetta.cli.params import DEADLINE
from vendetta.cli.session import Session
from vendetta.client.operations import raise_failure
from vendetta.errors import Conflict
from vendetta.models import FINISHED, KeyRotation, NodeRotation, Operation

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
    told: set[str] = set()
    ended = _follow(session, session.client.keys.rotate(nodes, type_, deadline_seconds=deadline), told)
    raise_failure(ended)
    rotation = msgspec.convert(ended.result, KeyRotation)
    failed = [outcome for outcome in rotation.nodes if outcome.error]
    if session.output == "table":
        for outcome in rotation.nodes:
            if outcome.node not in told and outcome.error is None:
                session.note(f"{outcome.node} has the new key")
        for outcome in failed:
            assert outcome.error  # noqa: S101 - that is what makes it one of them
            session.report(outcome.error.to_error(), about=outcome.node)
    write_one(session, rotation, ROTATION)
    if not rotation.finished and session.output == "table":
        session.note("For the rest, mend what is told above and run again: vendetta key rotate")
    return exits.FAILED if failed else exits.DONE


def _follow(session: Session, operation: Operation, told: set[str]) -> Operation:
    """To its end; Ctrl-C asks it to stop. The names that were told on the way are put into `told`."""
    try:
        for operation in session.client.operations.watch(operation.id):  # noqa: B020 - the newest is wanted
            message = operation.progress.message if operation.progress else ""
            if message and (name := message.split()[0]) not in told:
                told.add(name)
                if session.output == "table":
                    session.note(message)
    except KeyboardInterrupt:
        with suppress(Conflict):  # it has just ended
            session.client.operations.cancel(operation.id)
        session.note("\nStopped. Nodes that have the new key keep it; the rest: vendetta key rotate")
        raise click.exceptions.Exit(exits.INTERRUPTED) from None
    if operation.state not in FINISHED:
        return session.client.operations.wait(operation.id)
    return operation


def _rotated(rotation: KeyRotation) -> list[NodeRotation]:
    return [outcome for outcome in rotation.nodes if outcome.error is None]
