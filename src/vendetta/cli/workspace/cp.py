"""`vendetta workspace cp`: files and trees in and out of a workspace."""

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_done
from vendetta.cli.progress import open_transfer
from vendetta.cli.server.archive import counted, pack, tree_size, unpack
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput, PathNotFound

if TYPE_CHECKING:
    from vendetta.client.files import Files

MOST_LINKS = 40
"""As many as Linux follows in one path."""


@command(
    "cp",
    examples="""
        vendetta workspace cp ./site web:/srv
        vendetta workspace cp web:/var/log/app.log .
    """,
)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@pass_session
def cp(session: Session, source: str, target: str) -> None:
    """Copy files and trees: one of SRC and DST is NAME:PATH.

    As cp does: into DST where that is a directory, else under its name. Modes and links are kept, owners are not
    taken over from a workspace.
    """
    remote_source, remote_target = parse_remote(source), parse_remote(target)
    if (remote_source is None) == (remote_target is None):
        raise InvalidInput(
            "one of SRC and DST must be in a workspace, as NAME:PATH, and the other one here",
            hint="A path here with a colon in it is written ./like:this",
        )
    if remote_target is not None:
        _put(session, Path(source), *remote_target)
    elif remote_source is not None:
        _get(session, *remote_source, Path(target))
    write_done(session, {"source": source, "target": target}, target, f"{source} copied to {target}")


def parse_remote(text: str) -> tuple[str, str] | None:
    """Return workspace and absolute path of `NAME:PATH`; None for a local path, without a colon before a slash."""
    name, colon, path = text.partition(":")
    if not colon or not name or "/" in name or name.startswith("."):
        return None
    return name, posixpath.normpath(path if path.startswith("/") else f"/{path}")


def _put(session: Session, source: Path, workspace: str, path: str) -> None:
    if not source.exists() and not source.is_symlink():
        raise PathNotFound(f"there is nothing at {source}")
    files = session.client.files
    if is_directory(files, workspace, path):
        directory, name = path, source.absolute().name
    else:
        directory, name = posixpath.split(path)
    if not name:
        raise InvalidInput(f"{source} has no name to be copied under", hint="Say a name in DST.")
    with open_transfer(session, f"copying to {workspace}", tree_size(source)) as on_bytes:
        files.put(workspace, directory, counted(pack(source, name), on_bytes))


def _get(session: Session, workspace: str, path: str, target: Path) -> None:
    name = posixpath.basename(path) or workspace
    directory = target
    if not target.is_dir():
        directory, name = target.absolute().parent, target.absolute().name
    if not directory.is_dir():
        raise PathNotFound(f"there is no directory {directory}")
    with (
        session.client.files.get(workspace, path) as pieces,
        open_transfer(session, f"copying from {workspace}", None) as on_bytes,
    ):
        unpack(pieces, directory, name, on_bytes)


def is_directory(files: "Files", workspace: str, path: str) -> bool:
    """Whether a directory stands there, or a link to one."""
    for _ in range(MOST_LINKS):
        found = files.stat(workspace, path)
        if found is None or found.kind != "link" or found.target is None:
            return found is not None and found.kind == "directory"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), found.target))
    return False
