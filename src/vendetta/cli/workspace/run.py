"""`vendetta workspace exec` and `vendetta workspace shell`."""

import sys
from collections.abc import Sequence
from typing import cast

import click

from vendetta.cli import complete
from vendetta.cli.command import command, pass_session
from vendetta.cli.params import PAIR, only_given
from vendetta.cli.remainder import ExecCommand
from vendetta.cli.session import Session
from vendetta.client.http import build_path
from vendetta.errors import InvalidInput


@command(
    "exec",
    cls=ExecCommand,
    examples="""
        vendetta workspace exec web -- ls -la /srv
        vendetta workspace exec web -it -- bash
        echo 'print(1)' | vendetta workspace exec web -i -- python
    """,
)
@click.argument("name", shell_complete=complete.workspace_names)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[--] ARGV...", required=True)
@click.option("--interactive", "-i", is_flag=True, help="Pass stdin on.")
@click.option("--tty", "-t", is_flag=True, help="With a terminal.")
@click.option("--workdir", "-w", metavar="DIR", help="The directory to run in.")
@click.option("--user", "-u", metavar="USER", help="The user to run as.")
@click.option("--env", "-e", type=PAIR, multiple=True, help="An environment variable; may be repeated.")
@pass_session
def exec_(
    session: Session,
    name: str,
    rest: Sequence[str],
    interactive: bool,
    tty: bool,
    workdir: str | None,
    user: str | None,
    env: Sequence[tuple[str, str]],
) -> int:
    """Run a command in a workspace; its exit status is passed through."""
    from vendetta.cli.process import run_process  # asyncio and websockets, for streams alone
    from vendetta.client.channels import ExecFields

    request = only_given(argv=list(rest), tty=tty, cwd=workdir, user=user, env=dict(env))
    return run_process(session, build_path("workspaces", name, "exec"), cast(ExecFields, request), stdin=interactive)


@command("shell")
@click.argument("name", shell_complete=complete.workspace_names)
@click.option("--user", "-u", metavar="USER", help="The user to run as.")
@click.option("--console", is_flag=True, help="Its own console instead: boot messages and login. Leave it with Ctrl-].")
@pass_session
def shell(session: Session, name: str, user: str | None, console: bool) -> int:
    """Open a shell in a workspace."""
    from vendetta.cli.process import LEAVE, run_process
    from vendetta.client.channels import ExecFields

    if console:
        if user is not None:
            raise InvalidInput("--user doesn't go with --console", hint="The console asks for a login by itself.")
        session.note("The console is open; Ctrl-] leaves it.")
        path = build_path("workspaces", name, "console")
        return run_process(session, path, ExecFields(tty=True), stdin=True, leave=LEAVE)
    request = only_given(argv=None, tty=sys.stdin.isatty(), user=user)
    return run_process(session, build_path("workspaces", name, "exec"), cast(ExecFields, request), stdin=True)
