"""`vendetta node connect`, `disconnect` and `trust`."""

from typing import Any

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import colored_state, write_done
from vendetta.cli.prompts import accept_host_key, log_in
from vendetta.cli.session import Session
from vendetta.errors import HostKeyUnknown
from vendetta.models import Node

from .login import build_login, login_options


@command("connect", examples="vendetta node connect gpu")
@click.argument("name", shell_complete=complete.node_names)
@login_options
@pass_session
def connect(session: Session, name: str, **given: Any) -> None:
    """Log in to a node now, and look again what is there."""
    login = build_login(**given)
    _tell(session, log_in(session, lambda login: session.client.nodes.connect(name, login), login))


@command("disconnect")
@click.argument("name", shell_complete=complete.node_names)
@pass_session
def disconnect(session: Session, name: str) -> None:
    """Close the link to a node. What runs there goes on."""
    node = session.client.nodes.disconnect(name)
    write_done(session, node, node.name, f"node {node.name} disconnected")


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


def _tell(session: Session, node: Node) -> None:
    write_done(session, node, node.name, f"node {node.name} is {colored_state(node.status)}")
