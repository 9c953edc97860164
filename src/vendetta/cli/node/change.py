"""`vendetta node edit` and `vendetta node remove`."""

from collections.abc import Sequence
from typing import Any, cast

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.many import Verb, change_many, choose, selecting
from vendetta.cli.output import write_done
from vendetta.cli.params import LABEL_CHANGE, only_given
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session
from vendetta.client.nodes import NodeChanges

from .add import local_file


@command(
    "edit",
    examples="""
        vendetta node edit gpu --address me@10.0.0.8
        vendetta node edit gpu --label zone=lab --label spare-
    """,
)
@click.argument("name", shell_complete=complete.node_names)
@click.option("--address", metavar="[USER@]HOST[:PORT]", help="Another address.")
@click.option("--user", metavar="USER", help="Another user to log in as.")
@click.option("--port", type=click.IntRange(1, 65535), help="Another port of sshd.")
@click.option("--identity", metavar="FILE", help="Another private key to offer first.")
@click.option("--jump", multiple=True, metavar="[USER@]HOST[:PORT]", help="Other hosts to go through.")
@click.option("--no-jump", is_flag=True, help="Go through no other host.")
@click.option("--sudo/--no-sudo", default=None, help="Whether sudo is used for what the user may not do itself.")
@click.option("--label", "labels", type=LABEL_CHANGE, multiple=True, help="KEY=VALUE sets a label, KEY- removes it.")
@pass_session
def edit(
    session: Session,
    name: str,
    address: str | None,
    user: str | None,
    port: int | None,
    identity: str | None,
    jump: Sequence[str],
    no_jump: bool,
    sudo: bool | None,
    labels: Sequence[tuple[str, str | None]],
) -> None:
    """Change how a node is reached, or its labels."""
    changes = only_given(
        address=address,
        user=user,
        port=port,
        identity=local_file(session, identity),
        jump=list(jump),
        labels=dict(labels),
    )
    if sudo is not None:
        changes["sudo"] = sudo
    if no_jump:
        changes["jump"] = []
    if not changes:
        raise click.UsageError("there is nothing to change: give at least one option")
    node = session.client.nodes.edit(name, cast(NodeChanges, changes))
    write_done(session, node, node.name, f"node {node.name} changed")


@command("remove", examples="vendetta node remove gpu")
@selecting("node")
@click.option("--force", "-f", is_flag=True, help="Forget its workspaces too; what runs on the node goes on running.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@pass_session
def remove(session: Session, force: bool, yes: bool, **chosen: Any) -> int:
    """Forget nodes. Nothing is stopped or removed on them."""
    selection = choose(session, "node", **chosen)
    if selection is None:
        return exits.DONE
    confirm_removal(session, f"node{'' if len(selection.names) == 1 else 's'} {selection}", yes=yes)
    if not selection.is_one:
        return change_many(session, Verb("node", "remove", "removed"), selection, {"force": force})
    [name] = selection.names
    session.client.nodes.remove(name, force=force)
    write_done(session, {"name": name}, name, f"node {name} removed")
    return exits.DONE
