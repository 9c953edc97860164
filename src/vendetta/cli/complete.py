"""Completion of names, from a server that runs: one is never started for it, and a failure completes nothing."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from vendetta.errors import VendettaError

from .session import Session

if TYPE_CHECKING:
    from vendetta.client import Client

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _complete(names: Callable[["Client"], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        session = ctx.find_object(Session) or Session()
        try:
            with session.connect(start=False) as client:
                return [name for name in names(client) if name.startswith(incomplete)]
        except VendettaError:
            return []

    return complete


node_names = _complete(lambda client: (node.name for node in client.nodes.list()))
workspace_names = _complete(lambda client: (workspace.name for workspace in client.workspaces.list()))
operation_ids = _complete(lambda client: (operation.id for operation in client.operations.list()))
