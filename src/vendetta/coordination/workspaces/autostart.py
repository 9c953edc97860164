"""Start workspaces again that ran on a node before it was rebooted, where their options say so."""

import structlog

from vendetta.coordination.ask import Ask
from vendetta.coordination.operations import Operations
from vendetta.errors import VendettaError
from vendetta.models import Workspace

AUTOSTART = "autostart"
"""The option that says so, of every technology that has it. Docker has `restart` instead, and starts them itself."""

log = structlog.get_logger(__name__)


class Autostart:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def consider(self, workspace: Workspace, boot_id: str) -> None:
        """Submit an operation that starts the workspace, if it has the option, once for each boot of its node."""
        if workspace.spec.options.get(AUTOSTART) != "true":
            return
        key = f"restarted-{workspace.id}-{boot_id}"
        if await self._operations.known(key):
            return
        try:
            await self._operations.submit(Ask("server", key), "workspace.start", workspace.name, {})
        except VendettaError as exc:
            log.info("not started again", workspace=workspace.name, error=exc.message)
