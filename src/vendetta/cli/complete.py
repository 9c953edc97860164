"""Completion of names, from a server that runs: one is never started for it, and a failure completes nothing."""

from collections.abc import Callable, Iterable, Mapping
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
                # of several names none is wanted twice
                given = ctx.params.get(param.name or "") or ()
                taken = set(given if isinstance(given, tuple) else (given,))
                return [name for name in names(client) if name.startswith(incomplete) and name not in taken]
        except VendettaError:
            return []

    return complete


def _labels(held: Iterable[Mapping[str, str]]) -> list[str]:
    return sorted({f"{key}={value}" for labels in held for key, value in labels.items()})


def action_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the actions of the provider that was named before."""
    kind = str(ctx.params.get("provider"))
    return _complete(lambda client: (action.name for action in client.providers.get(kind).actions))(
        ctx, param, incomplete
    )


node_names = _complete(lambda client: (node.name for node in client.nodes.list()))
workspace_names = _complete(lambda client: (workspace.name for workspace in client.workspaces.list()))
node_labels = _complete(lambda client: _labels(node.labels for node in client.nodes.list()))
workspace_labels = _complete(lambda client: _labels(workspace.labels for workspace in client.workspaces.list()))
operation_ids = _complete(lambda client: (operation.id for operation in client.operations.list()))
