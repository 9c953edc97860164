"""The nodes as they are shown: what is kept of each, its breaker, and the room that is left on it."""

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vendetta.coordination.workspaces.placement import ENDED, build_room
from vendetta.models import Node
from vendetta.ssh.pool import Pool
from vendetta.store import Committed, Page, Store


class NodeListing:
    def __init__(self, store: Store, pool: Pool) -> None:
        self._store = store
        self._pool = pool

    async def get(self, name: str) -> Node:
        """Return the node. Raises `NodeNotFound`."""
        (node,) = await self._fill_in([await self._store.nodes.get(name)])
        return node

    async def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Node]:
        """Return a page of the nodes with all these labels and, if given, this status of their link."""
        page = await self._store.nodes.list(labels=labels or {}, status=status, limit=limit, cursor=cursor)
        return replace(page, items=await self._fill_in(page.items))

    async def _fill_in(self, nodes: Sequence[Node]) -> builtins.list[Node]:
        """Return the nodes with what is known and not kept: their breaker, and their room less what was promised."""
        promised = await self._store.workspaces.promised([node.name for node in nodes], without=ENDED)
        return [
            replace(
                node,
                breaker=breaker.snapshot if (breaker := self._pool.breaker(node.name)) else None,
                room=build_room(node, promised.get(node.name, Committed())),
            )
            for node in nodes
        ]
