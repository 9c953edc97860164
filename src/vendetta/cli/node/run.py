"""`vendetta node exec` and `vendetta node shell`."""

import sys
from collections.abc import Sequence

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.params import PAIR
from vendetta.cli.remainder import ExecCommand
from vendetta.cli.session import Session
from vendetta.client.http import build_path


@command(
    "exec",
    cls=ExecCommand,
    examples="""
        vendetta node exec gpu -- uname -a
        vendetta node exec gpu -t -- top
        tar c . | vendetta node exec gpu -- tar x -C /srv
        vendetta node exec --all -- uptime
    """,
)
@click.argument("name", shell_complete=complete.node_names)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[--] ARGV...")
@click.option("--all", "everywhere", is_flag=True, help="On every node, side by side, instead of NAME.")
@click.option("--label", "-l", "labels", type=PAIR, multiple=True, help="On every node with this label.")
@click.option("--interactive", "-i", is_flag=True, help="Pass stdin on, also when it is a terminal.")
@click.option("--tty", "-t", is_flag=True, help="With a terminal; passes stdin on.")
@click.option("--env", "-e", type=PAIR, multiple=True, help="An environment variable; may be repeated.")
@pass_session
def exec_(
    session: Session,
    name: str,
    rest: Sequence[str],
    everywhere: bool,
    labels: Sequence[tuple[str, str]],
    interactive: bool,
    tty: bool,
    env: Sequence[tuple[str, str]],
) -> int:
    """Run a command on the node itself; its exit status is passed through."""
    if everywhere or labels:
        if interactive or tty:
            raise click.UsageError("-i and -t are for one node")
        from .many import run_on_many

        return run_on_many(session, [name, *rest], dict(labels), dict(env))
    if not rest:
        raise click.UsageError("missing argument '[--] ARGV...': what to run")
    from vendetta.cli.process import run_process  # asyncio and websockets, for streams alone

    stdin = interactive or tty or not sys.stdin.isatty()
    path = build_path("nodes", name, "exec")
    return run_process(session, path, {"argv": list(rest), "tty": tty, "env": dict(env)}, stdin=stdin)


@command("shell")
@click.argument("name", shell_complete=complete.node_names)
@pass_session
def shell(session: Session, name: str) -> int:
    """Open the login shell of a node."""
    from vendetta.cli.process import run_process

    path = build_path("nodes", name, "exec")
    return run_process(session, path, {"argv": [], "tty": sys.stdin.isatty()}, stdin=True)
