"""`vendetta token`: who may call the server over TCP."""

import click

from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.formats import format_age
from vendetta.cli.output import View, write_done, write_list, write_value
from vendetta.cli.session import Session
from vendetta.models import Token

token = Group(
    "token",
    help="The tokens that callers over TCP log in with.",
    sections={
        "Commands": {
            "create": "vendetta.cli.access.token:create",
            "list": "vendetta.cli.access.token:list_",
            "revoke": "vendetta.cli.access.token:revoke",
        }
    },
    aliases={"ls": "list"},
)

TOKEN = View[Token](
    name=lambda token: token.id,
    columns={
        "ID": lambda token: token.id,
        "NAME": lambda token: token.name,
        "ROLE": lambda token: token.role,
        "CREATED": lambda token: format_age(token.created_at),
        "LAST USED": lambda token: format_age(token.last_used_at),
        "REVOKED": lambda token: format_age(token.revoked_at),
    },
    lines=lambda token: [],
)


@command("create", examples="export VENDETTA_TOKEN=$(vendetta token create ci)")
@click.argument("name")
@click.option("--role", metavar="ROLE", help="What its bearer may do.")
@pass_session
def create(session: Session, name: str, role: str | None) -> None:
    """Create a token, and print its secret this once."""
    created = session.client.tokens.create(name, role)
    token = created.token
    session.note(f"token {token.name} ({token.id}), role {token.role}; its secret is shown this once:")
    write_value(session, created, created.secret)


@command("list")
@pass_session
def list_(session: Session) -> None:
    """List the tokens; secrets are not kept."""
    write_list(session, session.client.tokens.list(), TOKEN)


@command("revoke")
@click.argument("id_", metavar="ID")
@pass_session
def revoke(session: Session, id_: str) -> None:
    """Revoke a token: its bearer is refused from now on."""
    session.client.tokens.revoke(id_)
    write_done(session, {"id": id_}, id_, f"token {id_} revoked")
