"""`vendetta workspace start`, `stop`, `restart`, `pause`, `resume`, `resize` and `remove`: several side by side."""

from collections.abc import Sequence
from functools import partial

import click

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import Following, Submit
from vendetta.cli.output import write_done
from vendetta.cli.params import DEADLINE
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session

_names = click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete.workspace_names)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=3600),
    metavar="SECONDS",
    help="How long it may take to end by itself (default 10).",
)


@command("start")
@_names
@DEADLINE
@pass_session
def start(session: Session, names: Sequence[str], deadline: float | None) -> int:
    """Start workspaces. One that runs already is left alone."""
    return _change(session, names, partial(session.client.workspaces.start, deadline_seconds=deadline), "started")


@command("stop")
@_names
@_timeout
@DEADLINE
@pass_session
def stop(session: Session, names: Sequence[str], timeout: float | None, deadline: float | None) -> int:
    """Stop workspaces. What they hold is kept."""
    workspaces = session.client.workspaces
    return _change(
        session, names, partial(workspaces.stop, timeout_seconds=timeout, deadline_seconds=deadline), "stopped"
    )


@command("restart")
@_names
@_timeout
@DEADLINE
@pass_session
def restart(session: Session, names: Sequence[str], timeout: float | None, deadline: float | None) -> int:
    """Stop workspaces and start them again."""
    workspaces = session.client.workspaces
    return _change(
        session, names, partial(workspaces.restart, timeout_seconds=timeout, deadline_seconds=deadline), "restarted"
    )


@command("pause")
@_names
@DEADLINE
@pass_session
def pause(session: Session, names: Sequence[str], deadline: float | None) -> int:
    """Freeze workspaces: they keep their memory, and use no processor until they are resumed."""
    return _change(session, names, partial(session.client.workspaces.pause, deadline_seconds=deadline), "paused")


@command("resume")
@_names
@DEADLINE
@pass_session
def resume(session: Session, names: Sequence[str], deadline: float | None) -> int:
    """Let paused workspaces go on."""
    return _change(session, names, partial(session.client.workspaces.resume, deadline_seconds=deadline), "resumed")


@command("resize", examples="vendetta workspace resize web --disk 20G")
@_names
@click.option("--disk", required=True, metavar="SIZE", help="How much it shall have: no less than it has now.")
@DEADLINE
@pass_session
def resize(session: Session, names: Sequence[str], disk: str, deadline: float | None) -> int:
    """Give the disks of workspaces more room, also while they are used."""
    return _change(
        session, names, partial(session.client.workspaces.resize, disk=disk, deadline_seconds=deadline), "resized"
    )


@command("remove")
@_names
@click.option("--force", "-f", is_flag=True, help="Also while it runs.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def remove(session: Session, names: Sequence[str], force: bool, yes: bool, deadline: float | None) -> int:
    """Remove workspaces and what they hold."""
    confirm_removal(session, f"workspace {', '.join(names)}", yes=yes)
    return _change(
        session, names, partial(session.client.workspaces.remove, force=force, deadline_seconds=deadline), "removed"
    )


def _change(session: Session, names: Sequence[str], submit: Submit, done: str) -> int:
    """Each to its end; a line for each that succeeded, and the status of the worst."""
    unique = list(dict.fromkeys(names))
    outcomes = Following(session, unique, submit).run()
    succeeded = [name for name in unique if outcomes[name] is None]
    if session.output in ("json", "yaml") and len(unique) > 1:
        found = [_result(session, name, done) for name in succeeded]
        write_done(session, found, "", "")
    else:
        for name in succeeded:
            item = _result(session, name, done) if session.output != "table" else None
            write_done(session, item, name, f"workspace {name} {done}")
    worst = exits.DONE
    for name in unique:
        if (error := outcomes[name]) is not None:
            session.report(error, about=name if len(unique) > 1 else None)
            worst = max(worst, exits.exit_status(error))
    return worst


def _result(session: Session, name: str, done: str) -> object:
    return {"name": name} if done == "removed" else session.client.workspaces.get(name)
