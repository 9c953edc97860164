"""`vendetta node socket` and `env`: a node's engine on this machine, for the engine's own programs."""

import os
import shlex
from pathlib import PurePath
from typing import NamedTuple

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import View, write_one, write_text, write_value
from vendetta.cli.session import Session
from vendetta.errors import Unsupported
from vendetta.models import EngineSocket


class Shell(NamedTuple):
    """How a shell sets a variable, unsets it, and evaluates the output of a command."""

    set: str
    unset: str
    use: str


SHELLS = {
    "sh": Shell("export {}={}", "unset {}", 'eval "$({})"'),
    "fish": Shell("set -gx {} {};", "set -e {};", "{} | source"),
    "csh": Shell("setenv {} {};", "unsetenv {};", "eval `{}`"),
}
VARIABLES = ("DOCKER_HOST", "INCUS_SOCKET", "LXD_SOCKET")
"""The variables that `env` may have set."""
_FAMILIES = {"fish": "fish", "csh": "csh", "tcsh": "csh"}

_VIEW: View[EngineSocket] = View(name=lambda found: found.path, columns={}, lines=lambda found: [("Path", found.path)])

name_argument = click.argument("name", shell_complete=complete.node_names)
engine_argument = click.argument("engine", required=False, metavar="[docker|incus|lxd]")


@command(
    "socket",
    examples="""
        vendetta node socket gpu
        docker -H unix://$(vendetta node socket gpu) ps
        vendetta node socket gpu --close
    """,
)
@name_argument
@engine_argument
@click.option("--close", is_flag=True, help="Close it. Connections that stand go on.")
@pass_session
def socket(session: Session, name: str, engine: str | None, close: bool) -> None:
    """Open a private local unix socket that is the node's engine, and print its path.

    Every program on it shares the server's one connection to the node. It stays open, over lost links and restarts of
    the server, until it is closed or the node is removed.
    """
    if close:
        session.client.nodes.get(name)
        session.client.nodes.close_socket(name, engine)
        session.note(f"socket of node {name} closed")
        return
    found = _open(session, name, engine)
    if session.output in ("json", "yaml"):
        write_one(session, found, _VIEW)
    else:
        write_value(session, found, found.path)


@command(
    "env",
    examples="""
        eval "$(vendetta node env gpu)"
        vendetta node env gpu --shell fish | source
        eval "$(vendetta node env gpu --unset)"
    """,
)
@name_argument
@engine_argument
@click.option("--shell", type=click.Choice(list(SHELLS)), help="Whose words to use; else those of $SHELL.")
@click.option("--unset", is_flag=True, help="Print what takes it back.")
@pass_session
def env(session: Session, name: str, engine: str | None, shell: str | None, unset: bool) -> None:
    """Print what makes docker and its like use the node's engine: DOCKER_HOST, for the shell to evaluate.

    For Incus and LXD that is INCUS_SOCKET and LXD_SOCKET.
    """
    words = SHELLS[shell or _FAMILIES.get(PurePath(os.environ.get("SHELL", "sh")).name, "sh")]
    if unset:
        # the server isn't asked: it has to work while the node is off
        write_text("".join(f"{words.unset.format(variable)}\n" for variable in VARIABLES))
        return
    found = _open(session, name, engine)
    if session.output in ("json", "yaml"):
        write_one(session, found, _VIEW)
        return
    for variable, value in found.environment.items():
        write_text(f"{words.set.format(variable, shlex.quote(value))}\n")
    again = f"vendetta node env {name}{f' {engine}' if engine else ''}"
    write_text(f"# To use it: {words.use.format(again)}\n")


def _open(session: Session, name: str, engine: str | None) -> EngineSocket:
    if not session.client.http.address.is_unix:
        raise Unsupported(
            f"the socket of node {name} would be on the machine of {session.client.http.address}, not on this one",
            hint="Run this where the server runs, or run a server of your own here and add the node to it.",
        )
    return session.client.nodes.socket(name, engine)
