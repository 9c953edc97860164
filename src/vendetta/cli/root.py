"""The root of the command line: the table of commands, and how each way of ending becomes an exit status."""

import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import click

from vendetta import __version__
from vendetta.errors import InvalidInput, VendettaError

from . import exits
from .command import Group
from .session import Session


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"vendetta {__version__}")
        ctx.exit()


root = Group(
    "vendetta",
    help="Run isolated workspaces on any Linux machine that you can reach by SSH.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version and exit.",
        )
    ],
    sections={
        "Machines and workspaces": {
            "node": "vendetta.cli.node:node",
            "workspace": "vendetta.cli.workspace:workspace",
            "image": "vendetta.cli.engines.image:image",
            "provider": "vendetta.cli.engines.provider:provider",
            "execute": "vendetta.cli.engines.execute:execute",
        },
        "Activity": {
            "operation": "vendetta.cli.activity.operation:operation",
            "events": "vendetta.cli.activity.events:events",
        },
        "Access": {
            "key": "vendetta.cli.access.key:key",
            "token": "vendetta.cli.access.token:token",
        },
        "Vendetta itself": {
            "server": "vendetta.cli.server.server:server",
            "config": "vendetta.cli.server.config:config",
            "completion": "vendetta.cli.completion:completion",
            "version": "vendetta.cli.version:version",
        },
    },
    aliases={"ws": "workspace"},
)


def run(args: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if args is None else args)
    session = Session()
    try:
        status = _outcome(session, argv)
    finally:
        session.close()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader went away: the interpreter's own flush at exit must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    return status


def _outcome(session: Session, argv: list[str]) -> int:
    color = False if session.no_color else None  # None: as the terminal can
    try:
        status = root.main(argv, prog_name="vendetta", standalone_mode=False, obj=session, color=color)
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True, color=color)
        return exits.USAGE
    except click.ClickException as exc:
        if asks_for_json(argv):
            session.output = "json"
        error = usage_error(exc)
        session.report(error)
        return exits.exit_status(error)
    except SystemExit as exc:  # click ends so after completion, and when the reader went away
        return exits.BROKEN_PIPE if exc.code else exits.DONE
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except VendettaError as exc:
        session.report(exc)
        if session.verbose:
            _print_traceback()
        return exits.exit_status(exc)
    except Exception as exc:  # the last resort: people get a sentence, and the traceback when they ask for it
        session.report(
            VendettaError(
                f"unexpected {type(exc).__name__}: {exc}",
                hint="Run it again with -v to see where, and look at: vendetta server logs",
            )
        )
        if session.verbose:
            _print_traceback()
        return exits.FAILED
    return status if isinstance(status, int) else exits.DONE


def usage_error(exc: click.ClickException) -> InvalidInput:
    """Return click's error as ours."""
    message = exc.format_message().rstrip(".")
    ctx = exc.ctx if isinstance(exc, click.UsageError) else None
    hint = f"See: {ctx.command_path} --help" if ctx else None
    return InvalidInput(message[:1].lower() + message[1:], hint=hint)


def asks_for_json(argv: Sequence[str]) -> bool:
    """Whether the line asks for JSON, where it can't be parsed and the options stay unread."""
    pairs = pairwise(argv)
    return any(arg in ("-ojson", "--output=json") for arg in argv) or any(
        (option, value) in (("-o", "json"), ("--output", "json")) for option, value in pairs
    )


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()
