"""`vendetta execute`: one command, dispatched to a provider on a node."""

from typing import Any, cast

import click
import msgspec

from vendetta.cli import complete, exits
from vendetta.cli.command import command, pass_session
from vendetta.cli.output import write_done, write_text, write_value
from vendetta.cli.params import JSON_OBJECT, only_given
from vendetta.cli.session import Session
from vendetta.client.nodes import CommandFields
from vendetta.errors import VendettaError
from vendetta.models import ExecutionResult, Problem


@command(
    "execute",
    examples="""
        vendetta execute gpu docker list
        vendetta execute gpu docker create --workspace web --config '{"image": "nginx"}'
        vendetta execute gpu docker exec --workspace web --config '{"argv": ["id"]}' -o json
    """,
)
@click.argument("node", shell_complete=complete.node_names)
@click.argument("provider")
@click.argument("action", shell_complete=complete.action_names)
@click.option("--workspace", "-w", metavar="NAME", help="The workspace that the action is about.")
@click.option("--config", type=JSON_OBJECT, help="The configuration of the action; @- reads stdin.")
@click.option("--retries", type=click.IntRange(min=0), metavar="N", help="How often to repeat what is safe.")
@click.option("--async", "async_", is_flag=True, help="Print the operation and don't wait for it.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="The longest time.")
@pass_session
def execute(
    session: Session,
    node: str,
    provider: str,
    action: str,
    workspace: str | None,
    config: dict[str, Any] | None,
    retries: int | None,
    async_: bool,
    timeout: float | None,
) -> int:
    """Dispatch an action to a provider on a node, and print its result.

    Actions: create start stop restart remove status list exec logs stats up down cleanup. What each takes of --config:
    vendetta provider show PROVIDER ACTION.
    """
    fields = only_given(
        action=action,
        provider=provider,
        config=config,
        workspace=workspace,
        retries=retries,
        timeout_seconds=timeout,
    )
    request = cast(CommandFields, fields)
    if async_:
        operation = session.client.nodes.submit(node, request)
        write_value(session, operation, operation.id)
        return exits.DONE
    result = session.client.nodes.execute(node, request)
    if session.output == "table":
        write_text(result.output if result.output.endswith("\n") or not result.output else f"{result.output}\n")
    else:
        write_done(session, result, workspace or node, "")
    if result.success:
        return exits.DONE
    error = build_error(result)
    session.report(error)
    return exits.exit_status(error)


def build_error(result: ExecutionResult) -> VendettaError:
    """Return the error of a failed result."""
    problem = result.metadata.get("problem")
    if problem is None:
        return VendettaError(result.error or "the command failed")
    return msgspec.convert(problem, Problem).to_error()
