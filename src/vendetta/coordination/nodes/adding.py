"""Adding a node: recorded, and with it reached, read and, where that is asked for, given the server's key."""

import uuid
from datetime import UTC, datetime

from vendetta.coordination.events import Events
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.requests import NodeRequest
from vendetta.models import Node
from vendetta.ssh.endpoint import Login
from vendetta.store import Store

from .changing import NodeChanges
from .links import NodeLinks
from .node_keys import NodeKeys
from .routes import build_jump, build_route


class NodeAdding:
    def __init__(
        self,
        store: Store,
        events: Events,
        link_requests: LinkRequests,
        links: NodeLinks,
        keys: NodeKeys,
        changes: NodeChanges,
    ) -> None:
        self._store = store
        self._events = events
        self._link_requests = link_requests
        self._links = links
        self._keys = keys
        self._changes = changes

    async def add(
        self, request: NodeRequest, login: Login, *, connect: bool = True, install_key: bool = False, actor: str
    ) -> Node:
        """Record the node; with `connect`, log in and learn what is there, and record nothing where that fails.

        `install_key`, with `connect`: put the server's own key there too. Raises `InvalidInput`, `NameTaken`, any
        `LinkError`, and what `NodeKeys.install` does.
        """
        node = build_node(request)
        await self._store.nodes.add(node)
        await self._link_requests.add(node.name)
        if connect:
            try:
                await self._links.open(node, login)
                if install_key:
                    await self._keys.install(node.name, login, None, actor)
                await self._links.read(node.name)
            except BaseException:
                await self._changes.forget(node.name)
                raise
            await self._link_requests.follow(node.name)
        added = await self._links.get_settled(node.name)
        await self._events.emit("node.added", node.name, actor, address=node.address)
        return added


def build_node(request: NodeRequest) -> Node:
    """Return the node to record. Raises `InvalidInput` where the route to it contradicts itself."""
    route = build_route(request.address, request.user, request.port)
    return Node(
        id=uuid.uuid4().hex,
        name=request.name,
        identity=request.identity,
        jump=build_jump(request.jump),
        sudo=request.sudo,
        since=datetime.now(UTC),
        labels=dict(request.labels),
        metadata=dict(request.metadata),
        **route,
    )
