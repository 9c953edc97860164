"""`vendetta workspace create`."""

import shlex
from collections.abc import Sequence
from typing import Any, cast

import click

from vendetta.cli import complete
from vendetta.cli.command import Command, command, pass_session
from vendetta.cli.following import follow_result
from vendetta.cli.output import colored_state, write_done, write_value
from vendetta.cli.params import DEADLINE, MOUNT, PAIR, only_given, read_env_file
from vendetta.cli.session import Session
from vendetta.client.workspaces import WorkspaceFields
from vendetta.models import Workspace

_DASHES = "vendetta.dashes"


class CreateCommand(Command):
    """Remember whether `--` was given: without it, a second name is more likely than a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_DASHES] = "--" in args
        return super().parse_args(ctx, args)


@command(
    "create",
    cls=CreateCommand,
    examples="""
        vendetta workspace create web --provider docker --image python:3.12 --node gpu
        vendetta workspace create web --provider docker --image nginx --label zone=lab --memory 512M -e LOG=debug
        vendetta workspace create job --provider docker --image busybox --node gpu -- sh -c 'echo hi; sleep 60'
    """,
)
@click.argument("name")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGV...]")
@click.option("--provider", "-p", required=True, metavar="PROVIDER", help="The technology, such as docker.")
@click.option("--image", required=True, metavar="IMAGE", help="The image to start from.")
@click.option("--node", metavar="NODE", help="The node; else one is chosen.", shell_complete=complete.node_names)
@click.option("--label", "-l", "labels", type=PAIR, multiple=True, help="Choose among the nodes with this label.")
@click.option("--cpus", type=click.FloatRange(min=0, min_open=True), help="CPUs, such as 2 or 0.5.")
@click.option("--memory", metavar="SIZE", help="Memory, such as 512M or 2G.")
@click.option("--disk", metavar="SIZE", help="Disk, such as 10G.")
@click.option("--pids", type=click.IntRange(min=1), help="The most processes at once.")
@click.option("--env", "-e", type=PAIR, multiple=True, help="An environment variable; wins over --env-file.")
@click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="A file of KEY=VALUE lines.")
@click.option(
    "--mount",
    "mounts",
    type=MOUNT,
    multiple=True,
    metavar="SRC:DST[:ro]",
    help="A path of the node, or a volume.",
)
@click.option("--set", "options", type=PAIR, multiple=True, help="An option of the provider's own.")
@click.option("--command", "command_", metavar="COMMAND", help="What to run: split as a shell does, then ARGV follows.")
@click.option("--no-start", is_flag=True, help="Only create it.")
@click.option("--no-wait", is_flag=True, help="Print the operation and don't wait for it.")
@DEADLINE
@pass_session
@click.pass_context
def create(ctx: click.Context, session: Session, /, name: str, no_start: bool, no_wait: bool, **given: Any) -> None:
    """Create a workspace and start it.

    Ctrl-C cancels it, and leaves nothing behind.
    """
    fields = only_given(
        name=name,
        provider=given["provider"],
        image=given["image"],
        node=given["node"],
        placement=dict(given["labels"]),
        command=build_argv(given["command_"], given["rest"], dashes=ctx.meta[_DASHES]),
        env=build_env(given["env_files"], given["env"]),
        cpus=given["cpus"],
        memory=given["memory"],
        disk=given["disk"],
        pids=given["pids"],
        mounts=list(given["mounts"]),
        options=dict(given["options"]),
    )
    fields["start"] = not no_start
    request, deadline = cast(WorkspaceFields, fields), given["deadline"]
    if no_wait:
        operation = session.client.workspaces.create(request, deadline_seconds=deadline)
        write_value(session, operation, operation.id)
        return
    workspaces = session.client.workspaces
    made = follow_result(session, name, lambda _: workspaces.create(request, deadline_seconds=deadline), Workspace)
    write_done(session, made, name, f"workspace {name} is {colored_state(made.state)} on node {made.node}")


def build_argv(text: str | None, rest: Sequence[str], *, dashes: bool) -> list[str]:
    """Return the argv of `--command TEXT` and the words that follow."""
    if rest and text is None and not dashes:
        raise click.UsageError(f'unexpected "{rest[0]}": one NAME at a time, and a command comes after --')
    if text is None or text == "--":
        return list(rest)
    try:
        return [*shlex.split(text), *rest]
    except ValueError as exc:
        raise click.BadParameter(f"{text}: {exc}", param_hint="--command") from exc


def build_env(files: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    env: dict[str, str] = {}
    for path in files:
        env |= read_env_file(path)
    return env | dict(pairs)
