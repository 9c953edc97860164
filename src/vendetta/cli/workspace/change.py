"""`vendetta workspace start`, `stop`, `restart`, `pause`, `resume`, `resize` and `remove`: of one or many."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from vendetta.cli import exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.following import Submit, follow
from vendetta.cli.many import Verb, change_many, choose, selecting
from vendetta.cli.output import write_done
from vendetta.cli.params import DEADLINE, only_given
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session

_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=3600),
    metavar="SECONDS",
    help="How long it may take to end by itself (default 10).",
)


@command("start", examples="vendetta workspace start web\nvendetta workspace start --label team=red")
@selecting("workspace")
@DEADLINE
@pass_session
def start(session: Session, deadline: float | None, **chosen: Any) -> int:
    """Start workspaces. One that runs already is left alone."""
    workspaces = session.client.workspaces
    verb = Verb("workspace", "start", "started")
    return _change(session, verb, chosen, partial(workspaces.start, deadline_seconds=deadline), deadline)


@command("stop", examples="vendetta workspace stop web db\nvendetta workspace stop --all --node gpu")
@selecting("workspace")
@_timeout
@DEADLINE
@pass_session
def stop(session: Session, timeout: float | None, deadline: float | None, **chosen: Any) -> int:
    """Stop workspaces. What they hold is kept."""
    workspaces = session.client.workspaces
    config = only_given(timeout_seconds=timeout)
    return _change(
        session,
        Verb("workspace", "stop", "stopped"),
        chosen,
        partial(workspaces.stop, timeout_seconds=timeout, deadline_seconds=deadline),
        deadline,
        config,
    )


@command("restart")
@selecting("workspace")
@_timeout
@DEADLINE
@pass_session
def restart(session: Session, timeout: float | None, deadline: float | None, **chosen: Any) -> int:
    """Stop workspaces and start them again."""
    workspaces = session.client.workspaces
    config = only_given(timeout_seconds=timeout)
    return _change(
        session,
        Verb("workspace", "restart", "restarted"),
        chosen,
        partial(workspaces.restart, timeout_seconds=timeout, deadline_seconds=deadline),
        deadline,
        config,
    )


@command("pause")
@selecting("workspace")
@DEADLINE
@pass_session
def pause(session: Session, deadline: float | None, **chosen: Any) -> int:
    """Freeze workspaces: they keep their memory, and use no processor until they are resumed."""
    workspaces = session.client.workspaces
    verb = Verb("workspace", "pause", "paused")
    return _change(session, verb, chosen, partial(workspaces.pause, deadline_seconds=deadline), deadline)


@command("resume")
@selecting("workspace")
@DEADLINE
@pass_session
def resume(session: Session, deadline: float | None, **chosen: Any) -> int:
    """Let paused workspaces go on."""
    workspaces = session.client.workspaces
    verb = Verb("workspace", "resume", "resumed")
    return _change(session, verb, chosen, partial(workspaces.resume, deadline_seconds=deadline), deadline)


@command("resize", examples="vendetta workspace resize web --disk 20G")
@selecting("workspace")
@click.option("--disk", required=True, metavar="SIZE", help="How much it shall have: no less than it has now.")
@DEADLINE
@pass_session
def resize(session: Session, disk: str, deadline: float | None, **chosen: Any) -> int:
    """Give the disks of workspaces more room, also while they are used."""
    workspaces = session.client.workspaces
    verb = Verb("workspace", "resize", "resized")
    submit = partial(workspaces.resize, disk=disk, deadline_seconds=deadline)
    return _change(session, verb, chosen, submit, deadline, {"disk": disk})


@command("remove", examples="vendetta workspace remove web\nvendetta workspace remove --label run=417 --force --yes")
@selecting("workspace")
@click.option("--force", "-f", is_flag=True, help="Also while it runs.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def remove(session: Session, force: bool, yes: bool, deadline: float | None, **chosen: Any) -> int:
    """Remove workspaces and what they hold."""
    workspaces = session.client.workspaces
    return _change(
        session,
        Verb("workspace", "remove", "removed"),
        chosen,
        partial(workspaces.remove, force=force, deadline_seconds=deadline),
        deadline,
        {"force": force},
        ask=lambda what: confirm_removal(session, what, yes=yes),
    )


def _change(
    session: Session,
    verb: Verb,
    chosen: Mapping[str, Any],
    submit: Submit,
    deadline: float | None,
    config: Mapping[str, Any] | None = None,
    *,
    ask: Callable[[str], None] = lambda what: None,
) -> int:
    """Follow a single named one, which Ctrl-C cancels; of several print each outcome as it comes."""
    selection = choose(session, "workspace", **chosen)
    if selection is None:
        return exits.DONE
    ask(f"workspace{'' if len(selection.names) == 1 else 's'} {selection}")
    if not selection.is_one:
        return change_many(session, verb, selection, config, deadline=deadline)
    [name] = selection.names
    ended = follow(session, name, submit)
    write_done(session, ended.result, name, f"workspace {name} {verb.done}")
    return exits.DONE
