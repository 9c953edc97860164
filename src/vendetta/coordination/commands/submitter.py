"""The one way from a change's kind to the use case that checks it and submits its operation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from vendetta.coordination.ask import Ask
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.requests import NO_CONFIG, Request
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.move import Moves
from vendetta.models import Operation

Submit = Callable[[Ask, str, Any], Awaitable[Operation]]
"""Submit what is asked for of one workspace or node, by its name, with a request of the change's class."""


class Submitter:
    """Changes of workspaces and nodes, by kind: those that check more than that their target is there are named."""

    def __init__(self, workspaces: Workspaces, moves: Moves, draining: Draining, cleanup: Cleanup) -> None:
        self._workspaces = workspaces
        self._own: Mapping[str, Submit] = {
            "workspace.move": moves.submit,
            "node.drain": draining.submit,
            "node.undrain": draining.undrain,
            "node.cleanup": cleanup.submit,
        }

    async def submit(self, ask: Ask, kind: str, target: str, request: Request = NO_CONFIG) -> Operation:
        """Submit a change of `kind` to a workspace or node. `request` is of the class that `CHANGES` names.

        Raises `WorkspaceNotFound`, `NodeNotFound`, and what the change refuses before it begins.
        """
        if kind in self._own:
            return await self._own[kind](ask, target, request)
        return await self._workspaces.change(ask, kind, target, request)
