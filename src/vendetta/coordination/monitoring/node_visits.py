"""Read nodes over their links: each in its turn while it is watched, and at once where somebody asks for it."""

from contextlib import suppress

from vendetta.coordination.cluster import NodeAssignment
from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.errors import Busy, NodeNotFound
from vendetta.models import Node
from vendetta.signals import Signal
from vendetta.ssh.channel import Connection
from vendetta.ssh.login.pacing import Limit
from vendetta.ssh.pool import Pool
from vendetta.store import LeaseLost, Store

from .event_streams import Following
from .link_status import LinkStatus
from .node_reader import NodeReader
from .watched_node import Watched

ASKED_AT_ONCE = 16
"""The most nodes read at once: a thousand that are back together would wait for the store until all fail."""
REFRESHED = 3
"""How often `refresh` begins again because the node went to another replica meanwhile."""


class NodeVisits:
    """Connect to nodes and have them read."""

    def __init__(
        self,
        store: Store,
        pool: Pool,
        engines: Engines,
        links: LinkStatus,
        reader: NodeReader,
        assignment: NodeAssignment,
    ) -> None:
        self._store = store
        self._pool = pool
        self._engines = engines
        self._links = links
        self._reader = reader
        self._assignment = assignment
        self._asking = Limit(ASKED_AT_ONCE)
        self.tried: Signal[str] = Signal("a node was visited")
        """Sent with the name of the node, whether it could be read or not."""

    async def visit(self, watched: Watched, following: Following, *, listens: bool) -> tuple[Connection, Node]:
        """Read a node that is watched over its link, connecting if need be, and return both.

        `listens`: an engine whose events are followed from now on is read in full then, and not before.
        """
        claim = watched.claim
        await self._links.settled()  # so that the status read below is not older than what was reported
        node = await self._store.nodes.get(claim.node)
        try:
            async with self._pool.visit(build_endpoint(node)) as connection, self._asking.turn():
                # that it was connected just now needs no second visit; what comes while it is asked does
                watched.nudge.clear()
                before = frozenset(watched.kinds)
                kinds = await self._store.workspaces.kinds(claim.node)
                # those whose last workspace went aren't followed any longer; one that comes just now is
                watched.kinds = {*kinds, *(watched.kinds - before)}
                left = kinds - following.goes_on(connection) if listens else ()
                node = await self._reader.read(node, connection, claim, kinds, followed=left)
        finally:
            self.tried.send(claim.node)
        return connection, node

    async def refresh(self, name: str) -> Node:
        """Read the node in full, now, and return it. Raises `NodeNotFound`, `LinkError`, `Busy`."""
        async with self._engines.connection(name) as connection:
            for _ in range(REFRESHED):
                claim = await self._assignment.borrow(name)
                node, kinds = await self._store.nodes.get(name), await self._store.workspaces.kinds(name)
                try:
                    return await self._reader.read(node, connection, claim, kinds)
                except LeaseLost:
                    self._assignment.lost(claim)
        raise Busy(f"node {name} went to another replica while it was asked", hint="Ask again.")

    async def healthy_engines(self, name: str) -> set[str]:
        """Return the engines that answered when the node was asked last."""
        with suppress(NodeNotFound):
            known = (await self._store.nodes.get(name)).providers
            return {kind for kind, status in known.items() if status.state == "healthy"}
        return set()
