"""A node's link, changed because somebody asks: opened, closed, or read through at once."""

from vendetta.coordination.engines import build_endpoint
from vendetta.coordination.events import Events
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.monitoring.node_visits import NodeVisits
from vendetta.models import Node
from vendetta.ssh.endpoint import Login
from vendetta.ssh.pool import Pool

from .listing import NodeListing


class NodeLinks:
    def __init__(
        self,
        listing: NodeListing,
        events: Events,
        pool: Pool,
        node_visits: NodeVisits,
        link_status: LinkStatus,
        link_requests: LinkRequests,
    ) -> None:
        self._listing = listing
        self._events = events
        self._pool = pool
        self._node_visits = node_visits
        self._link_status = link_status
        self._link_requests = link_requests

    async def connect(self, name: str, login: Login) -> Node:
        """Log in (again), now, and read the node. Return it as it is then.

        Raises `NodeNotFound`, any `LinkError`: the node is then tried again in the background.
        """
        node = await self._listing.get(name)
        if login.sudo_password is not None:
            await self._pool.disconnect(name)  # it is the next connection that knows it
        try:
            await self.open(node, login)
            await self.read(name)
        finally:
            await self._link_requests.follow(name)
        return await self.get_settled(name)

    async def disconnect(self, name: str, actor: str) -> Node:
        """Close the link, until somebody asks for the node again. What runs there goes on. Raises `NodeNotFound`."""
        await self._listing.get(name)
        await self._link_requests.rest(name, f"disconnected by {actor}")
        await self._events.emit("node.disconnected", name, actor)
        return await self._listing.get(name)

    async def probe(self, name: str) -> Node:
        """Ask the node everything, now. Return it as it is then. Raises `NodeNotFound`, any `LinkError`."""
        await self.read(name)
        return await self.get_settled(name)

    async def open(self, node: Node, login: Login) -> None:
        """Log in to the node, unless there is a link. It isn't followed for that. Raises any `LinkError`."""
        await self._pool.connect(build_endpoint(node), login)

    async def read(self, name: str) -> None:
        """Write down what the node says of itself now. Raises `NodeNotFound`, any `LinkError`."""
        await self._node_visits.refresh(name)

    async def get_settled(self, name: str) -> Node:
        """Return the node once all that happened to links so far is written. Raises `NodeNotFound`."""
        await self._link_status.settled()
        return await self._listing.get(name)
