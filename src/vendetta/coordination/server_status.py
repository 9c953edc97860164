"""The server as `server status` shows it: itself, and the replicas beside it."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from vendetta import __version__
from vendetta.models import ServerStatus
from vendetta.ssh.pool import Pool
from vendetta.store import Store


class RunningOperations(Protocol):
    @property
    def running(self) -> int:
        """Return how many run here now."""


class ServerStatusReader:
    """Read the server's status. `replica` is this server's id among the replicas; addresses are as shown to people."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        operations: RunningOperations,
        *,
        replica: str,
        listen_address: str,
        state_file: str,
    ) -> None:
        self._store = store
        self._pool = pool
        self._operations = operations
        self._replica = replica
        self._listen_address = listen_address
        self._state_file = state_file
        self._started_at = datetime.now(UTC)

    async def read(self) -> ServerStatus:
        """Return what is so now. Raises `StoreUnavailable`."""
        held = await self._store.claims.count()
        return ServerStatus(
            id=self._store.server_id,
            replica=self._replica,
            version=__version__,
            pid=os.getpid(),
            started_at=self._started_at,
            listen_address=self._listen_address,
            state_file=self._state_file,
            nodes=await self._store.nodes.count(),
            workspaces=await self._store.workspaces.count(),
            connections=len(self._pool),
            max_connections=self._pool.max_connections,
            operations_running=self._operations.running,
            memory_bytes=resident_bytes(),
            replicas=[replace(each, nodes=held.get(each.id, 0)) for each in await self._store.replicas.list()],
        )


def resident_bytes() -> int:
    """Return this process's resident memory (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
