"""`vendetta node add`."""

import os
import re
from collections.abc import Sequence
from typing import Any

import click

from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_done, write_one
from vendetta.cli.params import PAIR, pick_one
from vendetta.cli.prompts import log_in
from vendetta.cli.session import Session
from vendetta.client.nodes import Login
from vendetta.errors import InvalidInput
from vendetta.models import Node

from .doctor import note_essentials
from .login import build_login, login_options
from .view import NODE

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


@command(
    "add",
    examples="""
        vendetta node add gpu me@gpu.lan
        vendetta node add 10.0.0.7:2222 --accept-new
        vendetta node add lab root@10.1.0.4 --jump me@bastion.example.org --label zone=lab
        echo "$PASSWORD" | vendetta node add old pi@old.lan --password-stdin --install-key --accept-new
    """,
)
@click.argument("name")
@click.argument("address", required=False)
@click.option("--user", metavar="USER", help="The user to log in as.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port of sshd.")
@click.option("--identity", metavar="FILE", help="The private key to offer first.")
@click.option("--jump", multiple=True, metavar="[USER@]HOST[:PORT]", help="A host to go through; several in order.")
@login_options
@click.option("--sudo", is_flag=True, help="Use sudo for what the user may not do itself.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="A label; may be repeated.")
@click.option("--install-key", is_flag=True, help="Put the server's public key into the node's authorized_keys.")
@click.option("--no-connect", is_flag=True, help="Only record the node.")
@pass_session
def add(
    session: Session,
    name: str,
    address: str | None,
    user: str | None,
    port: int | None,
    identity: str | None,
    jump: Sequence[str],
    sudo: bool,
    labels: Sequence[tuple[str, str]],
    install_key: bool,
    no_connect: bool,
    **given: Any,
) -> None:
    """Add a machine: connect, verify its host key, and show what was found there.

    NAME is optional: without it, it is made of the host. ADDRESS is a name of your ssh config, HOST, USER@HOST:PORT,
    an IPv4, an [IPv6] or an ssh:// URL.
    """
    pick_one(no_connect=no_connect, install_key=install_key)
    login = build_login(**given)
    if address is None:
        name, address = derive_name(name), name

    def attempt(login: Login) -> Node:
        return session.client.nodes.add(
            name,
            address,
            user=user,
            port=port,
            identity=local_file(session, identity),
            jump=jump,
            sudo=sudo,
            labels=dict(labels),
            login=login,
            connect=not no_connect,
            install_key=install_key,
        )

    added = log_in(session, attempt, login)
    if session.output == "table" and not no_connect:
        session.note(f"node {added.name} added")
        write_one(session, added, NODE)
        if not session.quiet:
            note_essentials(session, added.name)
    else:
        write_done(session, added, added.name, f"node {added.name} added")


def derive_name(address: str) -> str:
    """Return a node's name made of its address: `me@gpu.lan:22` is `gpu`, `10.0.0.7` is `10-0-0-7`."""
    host = address.removeprefix("ssh://").partition("/")[0].rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host
    if host.count(":") == 1:
        host = host.partition(":")[0]
    label = host if re.fullmatch(r"[\d.]+|[\da-fA-F:]*:[\da-fA-F:]*", host) else host.partition(".")[0]
    name = _NOT_IN_NAMES.sub("-", label.lower())[:40].strip("-")
    if not name:
        raise InvalidInput(f'"{address}" gives no name', hint="Say it first: vendetta node add NAME ADDRESS")
    return name


def local_file(session: Session, path: str | None) -> str | None:
    """Return a path as the server needs it: absolute where it is on this machine, as given where it is elsewhere."""
    if path is None or not session.client.http.address.is_unix:
        return path
    return os.path.abspath(os.path.expanduser(path))
