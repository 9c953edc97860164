"""`vendetta image`: what a node holds to make workspaces from."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from vendetta.cli import complete
from vendetta.cli.command import Group, command, pass_session
from vendetta.cli.following import Submit, follow
from vendetta.cli.formats import NOTHING, format_age, format_bytes, format_time
from vendetta.cli.output import View, write_done, write_list
from vendetta.cli.params import DEADLINE, PAIR
from vendetta.cli.progress import open_transfer
from vendetta.cli.prompts import confirm_removal
from vendetta.cli.server.archive import PIECE_BYTES, counted, pack
from vendetta.cli.session import Session
from vendetta.errors import InvalidInput, PathNotFound
from vendetta.models import Image

image = Group(
    "image",
    help="The images that a node has to make workspaces from.",
    sections={
        "Commands": {
            "list": "vendetta.cli.engines.image:list_",
            "push": "vendetta.cli.engines.image:push",
            "pull": "vendetta.cli.engines.image:pull",
            "build": "vendetta.cli.engines.image:build",
            "remove": "vendetta.cli.engines.image:remove",
        }
    },
    aliases={"ls": "list", "rm": "remove"},
)

DOCKERIGNORE = ".dockerignore"

IMAGE = View[Image](
    name=lambda image: image.name,
    columns={
        "NAME": lambda image: image.name,
        "PROVIDER": lambda image: image.provider or NOTHING,
        "ID": lambda image: image.id.removeprefix("sha256:")[:12],
        "SIZE": lambda image: format_bytes(image.size_bytes),
        "AGE": lambda image: format_age(image.created_at) if image.created_at else NOTHING,
    },
    lines=lambda image: [("Name", image.name), ("Id", image.id), ("Created", format_time(image.created_at))],
)

_node = click.argument("node", shell_complete=complete.node_names)
_name = click.argument("name")
_provider = click.option("--provider", "-p", help="The technology, where the node has more than one.")


@command("list")
@_node
@_provider
@pass_session
def list_(session: Session, node: str, provider: str | None) -> None:
    """List the images that a node has."""
    write_list(session, session.client.images.list(node, provider=provider), IMAGE)


@command(
    "push",
    examples="""
        vendetta image push gpu mine:1 ./mine.tar
        docker save mine:1 | vendetta image push gpu mine:1 -
    """,
)
@_node
@_name
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@_provider
@DEADLINE
@pass_session
def push(session: Session, node: str, name: str, file: str, provider: str | None, deadline: float | None) -> None:
    """Give a node the image in FILE under NAME; what it has already isn't sent to it again.

    For Docker that is what docker save writes, or a tar of a root file system; for LXC an Incus or LXD image, or such
    a tar; for QEMU a disk image, qcow2 or raw.
    """
    if file == "-" and sys.stdin.isatty():
        raise InvalidInput("the image is to come from stdin, which is a terminal", hint="Pipe it in, or name a file.")
    if file != "-" and not Path(file).exists():
        raise PathNotFound(f"there is nothing at {file}")
    total = Path(file).stat().st_size if Path(file).is_file() else None
    with open_transfer(session, "sending to the server", total) as on_bytes:
        operation = session.client.images.push(
            node, name, counted(read(file), on_bytes), provider=provider, deadline_seconds=deadline
        )
    _follow(session, node, name, lambda _: operation, "pushed to")


@command("pull", examples="vendetta image pull gpu docker.io/library/debian:12")
@_node
@_name
@_provider
@DEADLINE
@pass_session
def pull(session: Session, node: str, name: str, provider: str | None, deadline: float | None) -> None:
    """Let a node fetch an image from where its name says."""
    images = session.client.images
    _follow(
        session,
        node,
        name,
        lambda target: images.pull(target, name, provider=provider, deadline_seconds=deadline),
        "pulled to",
    )


@command("build", examples="vendetta image build gpu mine:1 . --build-arg VERSION=3")
@_node
@_name
@click.argument("folder", default=".", type=click.Path(file_okay=False, exists=True))
@click.option("--file", "-f", default="Dockerfile", show_default=True, help="The Dockerfile, in FOLDER.")
@click.option("--build-arg", "arguments", type=PAIR, multiple=True, help="For its ARG; may be repeated.")
@click.option("--platform", help="Such as linux/arm64.")
@_provider
@click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End the build where it isn't done by then.",
)
@pass_session
def build(
    session: Session,
    node: str,
    name: str,
    folder: str,
    file: str,
    arguments: Sequence[tuple[str, str]],
    platform: str | None,
    provider: str | None,
    deadline: float | None,
) -> None:
    """Build an image on a node from a folder here; what its .dockerignore names is left out."""
    if not Path(folder, file).is_file():
        raise PathNotFound(f"there is no {file} in {folder}", hint="Say which with --file.")
    made: Image | None = None
    for news in session.client.images.build(
        node,
        name,
        pack_context(Path(folder), file),
        provider=provider,
        file=file,
        arguments=dict(arguments),
        platform=platform,
        deadline_seconds=deadline,
    ):
        if news.problem is not None:
            raise news.problem.to_error()
        if news.output and session.output == "table" and not session.quiet:  # else stderr is a problem's alone
            sys.stderr.write(news.output)
            sys.stderr.flush()
        made = news.image
    write_done(session, made, name, f"image {name} built on node {node}")


@command("remove")
@_node
@_name
@_provider
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@DEADLINE
@pass_session
def remove(session: Session, node: str, name: str, provider: str | None, yes: bool, deadline: float | None) -> None:
    """Remove an image from a node."""
    confirm_removal(session, f"image {name} of node {node}", yes=yes)
    images = session.client.images
    _follow(
        session,
        node,
        name,
        lambda target: images.remove(target, name, provider=provider, deadline_seconds=deadline),
        "removed from",
    )


def pack_context(folder: Path, file: str) -> Iterator[bytes]:
    """Yield a tar of the folder without what its .dockerignore names."""
    ignore = folder / DOCKERIGNORE
    if not ignore.is_file():
        return pack(folder, ".")
    from pathspec import PathSpec  # only for those who have such a file

    # patterns are anchored at the folder; the last one that matches decides; the builder needs these two files
    lines = [*ignore.read_text().splitlines(), f"!{file}", f"!{DOCKERIGNORE}"]
    spec = PathSpec.from_lines("gitignore", [anchor(line) for line in lines])
    return pack(folder, ".", skips=lambda name: spec.match_file(name.removeprefix("./")))


def anchor(line: str) -> str:
    """Return the line of a .gitignore that means the same as one of a .dockerignore."""
    pattern = line.strip()
    if not pattern or pattern.startswith("#"):
        return ""
    negated, pattern = pattern.startswith("!"), pattern.lstrip("!").strip()
    return f"{'!' if negated else ''}/{pattern.removeprefix('./').strip('/')}"


def read(file: str) -> Iterator[bytes]:
    """Yield the bytes of a file, or of stdin for "-". Raises `PathNotFound` for what can't be read."""
    try:
        with click.open_file(file, "rb") as source:
            while piece := source.read(PIECE_BYTES):
                yield piece
    except OSError as exc:
        raise PathNotFound(f"can't read {file}: {exc.strerror}") from exc


def _follow(session: Session, node: str, name: str, submit: Submit, done: str) -> None:
    ended = follow(session, node, submit)
    write_done(session, ended.result, name, f"image {name} {done} node {node}")
