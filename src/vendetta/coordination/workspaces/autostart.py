"""What was running on a node that was restarted is started again, where its options say so and its engine doesn't."""

import structlog

from vendetta.coordination.ask import Ask
from vendetta.coordination.operations import Operations
from vendetta.errors import VendettaError
from vendetta.models import Workspace

AUTOSTART = "autostart"
"""The option that says so, whichever technology has it. Docker's own `restart` is Docker's affair."""

log = structlog.get_logger(__name__)


class Autostart:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def consider(self, workspace: Workspace, boot_id: str) -> None:
        """One try in each boot of the node, an operation like any other. Called again: nothing happens."""
        if workspace.spec.options.get(AUTOSTART) != "true":
            return
        key = f"restarted-{workspace.id}-{boot_id}"
        if await self._operations.known(key):
            return
        try:
            await self._operations.submit(Ask("server", key), "workspace.start", workspace.name, {})
        except VendettaError as exc:
            log.info("not started again", workspace=workspace.name, error=exc.message)
