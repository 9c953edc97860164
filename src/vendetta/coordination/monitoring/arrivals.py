"""Announce workspaces that come to a node, in the transaction that records them, to the replica that watches it.

So the events of their engine are followed before the first one, and not only from the next full reading on.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from vendetta.models import Workspace
from vendetta.store import Store, StoreUnavailable, Transaction
from vendetta.store.news import Payload
from vendetta.tasks import cancel_and_wait

TOPIC = "arrivals"

log = structlog.get_logger(__name__)

OnArrival = Callable[[str, str], None]
"""Called with the name of a node and the technology of a workspace that comes to it."""


async def tell_arrival(state: Transaction, workspace: Workspace) -> None:
    """Announce that the workspace comes to its node, in the transaction that records it."""
    await state.notify(TOPIC, {"node": workspace.node, "provider": workspace.provider})


class Arrivals:
    """Call `on_arrival` for each workspace that comes to a node, whichever replica recorded it."""

    def __init__(self, store: Store, on_arrival: OnArrival) -> None:
        self._store = store
        self._on_arrival = on_arrival
        self._catching_up: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._end_listening = self._store.news.listen(TOPIC, self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_listening()
        if self._catching_up:
            await cancel_and_wait(self._catching_up)

    def _listen(self, payload: Payload | None) -> None:
        if payload is not None:
            self._on_arrival(payload["node"], payload["provider"])
        elif self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._catch_up(), name="look for workspaces that came unheard")

    async def _catch_up(self) -> None:
        """Call `on_arrival` for all workspaces, because news may have been missed: one query for all nodes."""
        try:
            for node, kind in await self._store.workspaces.kinds_by_node():
                self._on_arrival(node, kind)
        except StoreUnavailable as exc:
            # `_listen` is called again once the database can be read
            log.warning("workspaces that came elsewhere are not known", reason=exc.message)
