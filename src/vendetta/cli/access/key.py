"""`vendetta key`: who the server is to its nodes."""

from pathlib import Path
from typing import Any

import click

from vendetta.cli import complete
from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import NOTHING
from vendetta.cli.node.login import build_login, login_options
from vendetta.cli.output import View, write_done, write_list, write_one
from vendetta.cli.prompts import log_in
from vendetta.cli.session import Session
from vendetta.client.nodes import Login
from vendetta.models import Key

key = Group(
    "key",
    help="The SSH keys that the server logs in with.",
    sections={
        "Commands": {
            "list": "vendetta.cli.access.key:list_",
            "generate": "vendetta.cli.access.key:generate",
            "unlock": "vendetta.cli.access.key_unlock:unlock",
            "install": "vendetta.cli.access.key:install",
            "rotate": "vendetta.cli.access.key_rotate:rotate",
        }
    },
    aliases={"ls": "list"},
)


def _describe_lock(key: Key) -> str:
    if not key.encrypted:
        return ""
    return " (encrypted, unlocked)" if key.unlocked else " (encrypted)"


KEY = View[Key](
    name=lambda key: key.fingerprint,
    columns={
        "TYPE": lambda key: key.type,
        "FINGERPRINT": lambda key: key.fingerprint,
        "SOURCE": lambda key: key.source + _describe_lock(key),
        "PATH": lambda key: key.path or NOTHING,
        "COMMENT": lambda key: key.comment or NOTHING,
    },
    lines=lambda key: [
        ("Type", key.type),
        ("Fingerprint", key.fingerprint),
        ("Path", key.path or NOTHING),
        ("Public key", key.public_key),
    ],
)


@command("list")
@pass_session
def list_(session: Session) -> None:
    """List the keys, in files and in the agent."""
    write_list(session, session.client.keys.list(), KEY)


@command(
    "generate",
    examples="""
        vendetta key generate
        vendetta key generate --type rsa
    """,
)
@click.option("--type", "type_", default="ed25519", show_default=True, metavar="TYPE", help="ed25519, ecdsa or rsa.")
@pass_session
def generate(session: Session, type_: str) -> None:
    """Generate a key of the server's own."""
    write_one(session, session.client.keys.generate(type_), KEY)


@command(
    "install",
    examples="""
        vendetta key install gpu
        vendetta key install gpu --restrict --from 10.0.0.0/8
        vendetta key install gpu --public-key colleague.pub
        echo "$PASSWORD" | vendetta key install old --password-stdin
    """,
)
@click.argument("node", shell_complete=complete.node_names)
@login_options
@click.option("--public-key", metavar="FILE", help="Another public key than the server's own.")
@click.option("--restrict", is_flag=True, help="Let it do what Vendetta needs and no more.")
@click.option("--from", "sources", metavar="CIDR,…", help="Let it in from these addresses and networks alone.")
@pass_session
def install(
    session: Session,
    node: str,
    public_key: str | None,
    restrict: bool,
    sources: str | None,
    **given: Any,
) -> None:
    """Put a public key into the authorized_keys of a node, and prove it by a login. Again: nothing changes."""
    login = build_login(**given)
    text = _read_public_key(public_key)
    from_ = sources.split(",") if sources else []

    def attempt(login: Login) -> Key | None:
        return session.client.nodes.install_key(node, login, public_key=text, restrict=restrict, sources=from_)

    installed = log_in(session, attempt, login)
    fingerprint = f" {installed.fingerprint}" if installed else ""
    write_done(session, installed, installed.fingerprint if installed else "", f"key{fingerprint} is on node {node}")


def _read_public_key(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise click.BadParameter(f"can't read {path}: {exc}", param_hint="--public-key") from exc
    if "PRIVATE KEY" in text:
        raise click.BadParameter(f"{path} is a private key: give the .pub file", param_hint="--public-key")
    return text
