"""Trusting the host key that a node offers, because somebody says that it is the node's."""

from vendetta.coordination.engines import build_endpoint
from vendetta.coordination.events import Events
from vendetta.models import Node
from vendetta.ssh.endpoint import Login
from vendetta.ssh.login import Connector

from .links import NodeLinks
from .listing import NodeListing


class HostKeyTrust:
    def __init__(self, listing: NodeListing, events: Events, connector: Connector, links: NodeLinks) -> None:
        self._listing = listing
        self._events = events
        self._connector = connector
        self._links = links

    async def trust(self, name: str, fingerprint: str | None, actor: str) -> Node:
        """Accept the host key that the node offers now if it is `fingerprint` (`SHA256:…`), and connect.

        Raises `HostKeyUnknown`, which tells what is offered, if it is another or none is given; `NodeNotFound`, any
        other `LinkError`.
        """
        node = await self._listing.get(name)
        trusted = await self._connector.trust(build_endpoint(node), fingerprint)
        await self._events.emit("node.trusted", name, actor, fingerprint=trusted.fingerprint)
        return await self._links.connect(name, Login())
