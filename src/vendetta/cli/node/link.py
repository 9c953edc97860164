"""`vendetta node connect`, `disconnect` and `trust`."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.many import Selection, Verb, change_many, choose, selecting
from vendetta.cli.output import colored_state, write_done
from vendetta.cli.prompts import accept_host_key, log_in
from vendetta.cli.session import Session
from vendetta.errors import HostKeyUnknown
from vendetta.models import Node

from .login import build_login, login_options


@command("connect", examples="vendetta node connect gpu\nvendetta node connect --all")
@selecting("node")
@login_options
@pass_session
def connect(
    session: Session, names: Sequence[str], labels: Sequence[tuple[str, str]], everything: bool, **given: Any
) -> int:
    """Log in to nodes now, and look again what is there.

    Passwords and host keys are asked for where one node is named, and not for several.
    """
    login = build_login(**given)

    def attempt(name: str) -> Node:
        return log_in(session, lambda login: session.client.nodes.connect(name, login), login)

    selection = choose(session, "node", names, labels, everything)
    if selection is not None and login and not selection.is_one:
        raise click.UsageError("options of the login go with one node at a time")
    return change_nodes(session, Verb("node", "connect", "connected"), selection, attempt)


@command("disconnect", examples="vendetta node disconnect gpu\nvendetta node disconnect --label zone=lab")
@selecting("node")
@pass_session
def disconnect(session: Session, **chosen: Any) -> int:
    """Close the links to nodes. What runs there goes on."""
    verb = Verb("node", "disconnect", "disconnected")
    return change_nodes(session, verb, choose(session, "node", **chosen), session.client.nodes.disconnect)


@command(
    "trust",
    examples="""
        vendetta node trust gpu
        vendetta node trust gpu --host-key SHA256:cTq5sTMSHxUOHk3nqqhVnIOmHUa8Jm5xOP4EJpjbCqo
    """,
)
@click.argument("name", shell_complete=complete.node_names)
@click.option("--host-key", metavar="SHA256:…", help="The host key that the node must offer.")
@pass_session
def trust(session: Session, name: str, host_key: str | None) -> None:
    """Accept the host key that a node offers now, after it has changed.

    Asks on a terminal; without one, --host-key must say which.
    """
    try:
        node = session.client.nodes.trust(name, host_key)
    except HostKeyUnknown as exc:
        fingerprint = exc.details.get("fingerprint")
        if host_key or not session.interactive or not fingerprint:
            raise
        accept_host_key(session, exc)
        node = session.client.nodes.trust(name, str(fingerprint))
    _tell(session, node)


def change_nodes(session: Session, verb: Verb, selection: Selection | None, change: Callable[[str], Node]) -> int:
    """One that is named by `change`, many by the server."""
    if selection is None:
        return exits.DONE
    if not selection.is_one:
        return change_many(session, verb, selection)
    _tell(session, change(selection.names[0]), verb.done)
    return exits.DONE


def _tell(session: Session, node: Node, done: str = "connected") -> None:
    text = f"is {colored_state(node.status)}" if done == "connected" else done
    write_done(session, node, node.name, f"node {node.name} {text}")
