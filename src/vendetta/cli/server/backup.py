"""`vendetta server backup` and `vendetta server restore`: the state of this user's own server as one file."""

from pathlib import Path

import click

from vendetta.cli.command import command, pass_session
from vendetta.cli.formats import format_time
from vendetta.cli.output import write_done
from vendetta.cli.prompts import confirm
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput, Unsupported
from vendetta.paths import Paths, describe_location

from .server import own_paths


@command("backup", examples="vendetta server backup vendetta-monday.tar")
@click.argument("file", type=click.Path(path_type=Path))
@pass_session
def backup(session: Session, file: Path) -> None:
    """Write the server's state into FILE, a new one that you alone can read. The server may run.

    It holds what the server knows: nodes, workspaces, operations, events and (hashed) tokens. Not in it are the
    server's keys, the host keys that were accepted, and config.yaml: copy those from its home beside it.
    """
    from vendetta.client.state_archive import back_up

    manifest = back_up(_state_file(own_paths(session), "pg_dump"), file)
    held = f"{manifest.nodes} nodes, {manifest.workspaces} workspaces"
    write_done(session, {"file": str(file.absolute()), "manifest": manifest}, str(file), f"wrote {file}: {held}")


@command("restore", examples="vendetta server restore vendetta-monday.tar")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", "-y", is_flag=True, help="Don't ask before the state that is there is replaced.")
@pass_session
def restore(session: Session, file: Path, yes: bool) -> None:
    """Put the state in FILE, of `vendetta server backup`, in place of the one that is there. Stop the server first.

    Operations that had not ended are gone on with at the next start; nodes are asked what is true now. Keys, accepted
    host keys and config.yaml stay as they are.
    """
    from vendetta.client.state_archive import read_manifest
    from vendetta.client.state_archive import restore as put_back
    from vendetta.home_lock import AlreadyRunning, one_server
    from vendetta.store.schema import HEAD

    paths = own_paths(session)
    state_file = _state_file(paths, "pg_restore")
    try:
        with one_server(paths):
            found = read_manifest(file)
            if state_file.exists():
                when = format_time(found.created_at)
                confirm(session, f"replace the state in {state_file} by that of {when}", yes=yes)
            manifest = put_back(file, state_file, newest_schema=HEAD)
    except AlreadyRunning as exc:
        raise InvalidInput(
            "the server runs, and would go on with the state it has", hint="Stop it first: vendetta server stop"
        ) from exc
    held = f"{manifest.nodes} nodes, {manifest.workspaces} workspaces, as of {format_time(manifest.created_at)}"
    write_done(session, {"state_file": str(state_file), "manifest": manifest}, str(state_file), f"restored {held}")


def _state_file(paths: Paths, tool: str) -> Path:
    from vendetta import settings  # pydantic, which most commands do not need

    location = settings.load(paths).state_file
    if "://" in location:
        raise Unsupported(
            f"the state is in PostgreSQL: {describe_location(location)}",
            hint=f"Use {tool}, with both schemas: public and vendetta_operations.",
        )
    return Path(location).expanduser()
