"""`vendetta workspace snapshot`: what a workspace's disk held, kept to go back to."""

import click

from vendetta.cli import complete
from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.following import follow, follow_result
from vendetta.cli.formats import NOTHING, format_age, format_bytes, format_time
from vendetta.cli.output import View, write_done, write_list
from vendetta.cli.params import DEADLINE
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.session import Session
from vendetta.models import Operation, Snapshot

snapshot = Group(
    "snapshot",
    help="Keep what a workspace's disk holds, and go back to it.",
    sections={
        "Commands": {
            "create": "vendetta.cli.workspace.snapshot:create",
            "list": "vendetta.cli.workspace.snapshot:list_",
            "restore": "vendetta.cli.workspace.snapshot:restore",
            "remove": "vendetta.cli.workspace.snapshot:remove",
        }
    },
    aliases={"ls": "list", "rm": "remove"},
)

SNAPSHOT = View[Snapshot](
    name=lambda snapshot: snapshot.name,
    columns={
        "NAME": lambda snapshot: snapshot.name,
        "AGE": lambda snapshot: format_age(snapshot.created_at),
        "SIZE": lambda snapshot: format_bytes(snapshot.size_bytes) if snapshot.size_bytes is not None else NOTHING,
    },
    lines=lambda snapshot: [("Name", snapshot.name), ("Created", format_time(snapshot.created_at))],
)

_workspace = click.argument("workspace", shell_complete=complete.workspace_names)
_name = click.argument("name")


@command("create", examples="vendetta workspace snapshot create web before-upgrade")
@_workspace
@_name
@DEADLINE
@pass_session
def create(session: Session, workspace: str, name: str, deadline: float | None) -> None:
    """Keep what the disk holds now, running or not. Memory and volumes are not part of it."""
    snapshots = session.client.snapshots

    def submit(target: str) -> Operation:
        return snapshots.create(target, name, deadline_seconds=deadline)

    made = follow_result(session, workspace, submit, Snapshot)
    write_done(session, made, name, f"snapshot {name} of {workspace} created")


@command("list")
@_workspace
@pass_session
def list_(session: Session, workspace: str) -> None:
    """List a workspace's snapshots, the oldest first."""
    write_list(session, session.client.snapshots.list(workspace), SNAPSHOT)


@command("restore")
@_workspace
@_name
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def restore(session: Session, workspace: str, name: str, yes: bool, deadline: float | None) -> None:
    """Go back to a snapshot: what the disk holds now is lost. The workspace must be stopped."""
    confirm_removal(session, f"what {workspace} holds now, for its snapshot {name}", yes=yes)
    restored = follow(
        session, workspace, lambda target: session.client.snapshots.restore(target, name, deadline_seconds=deadline)
    )
    write_done(session, restored.result, workspace, f"workspace {workspace} is as it was at {name}")


@command("remove")
@_workspace
@_name
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def remove(session: Session, workspace: str, name: str, yes: bool, deadline: float | None) -> None:
    """Remove a snapshot."""
    confirm_removal(session, f"snapshot {name} of {workspace}", yes=yes)
    snapshots = session.client.snapshots
    follow(session, workspace, lambda target: snapshots.remove(target, name, deadline_seconds=deadline))
    write_done(session, {"name": name}, name, f"snapshot {name} of {workspace} removed")
