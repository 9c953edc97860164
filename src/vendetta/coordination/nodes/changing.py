"""What is kept of a node, changed or removed."""

from typing import Any

from vendetta.coordination.events import Events
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.requests import NodeEdit
from vendetta.errors import WrongState
from vendetta.models import Node
from vendetta.ssh.identity import HostKeys
from vendetta.store import Store

from .listing import NodeListing
from .routes import ROUTE, build_jump, build_route


class NodeChanges:
    def __init__(
        self,
        store: Store,
        events: Events,
        listing: NodeListing,
        link_requests: LinkRequests,
        link_status: LinkStatus,
        host_keys: HostKeys,
    ) -> None:
        self._store = store
        self._events = events
        self._listing = listing
        self._link_requests = link_requests
        self._link_status = link_status
        self._host_keys = host_keys

    async def edit(self, name: str, edit: NodeEdit, actor: str) -> Node:
        """Change what `edit` names. Where the way to the node changes, it is connected anew.

        Raises `NodeNotFound`, `InvalidInput`.
        """
        node = await self._listing.get(name)
        changes = build_changes(node, edit)
        moved = any(getattr(node, key) != value for key, value in changes.items() if key in ROUTE)
        await self._store.nodes.update(name, **changes)
        await self._events.emit("node.edited", name, actor, changed=sorted(changes))
        if moved:
            await self._link_requests.reroute(name)
        return await self._listing.get(name)

    async def cordon(self, name: str, actor: str) -> Node:
        """Close the node to what is placed from now on; what is there goes on. Raises `NodeNotFound`.

        Cordoned already: nothing happens.
        """
        return await self._set_cordoned(name, True, actor)

    async def uncordon(self, name: str, actor: str) -> Node:
        """Open the node to what is placed. Open already: nothing happens. Raises `NodeNotFound`."""
        return await self._set_cordoned(name, False, actor)

    async def remove(self, name: str, *, force: bool = False, actor: str) -> None:
        """Forget the node. What runs there goes on running.

        Raises `NodeNotFound`; `WrongState` where there are workspaces on it, unless `force`: these are forgotten too.
        """
        await self._listing.get(name)
        workspaces = [workspace.name for workspace in await self._store.workspaces.all(node=name)]
        if workspaces and not force:
            raise WrongState(
                f"node {name} has {len(workspaces)} workspaces: {', '.join(workspaces[:5])}",
                hint="Remove them first, or use --force to forget them too (what runs on the node goes on running).",
                workspaces=workspaces,
            )
        for workspace in workspaces:
            await self._store.workspaces.remove(workspace)
        await self.forget(name)
        await self._events.emit("node.removed", name, actor, forgotten=workspaces)

    async def forget(self, name: str) -> None:
        """Close every link to the node, then remove its host keys and its record; no event. Raises `NodeNotFound`."""
        await self._link_requests.forget(name)
        # what its link came to is written by then: nothing may write to a record that is gone
        await self._link_status.settled()
        self._host_keys.forget(name)
        await self._store.nodes.remove(name)

    async def _set_cordoned(self, name: str, cordoned: bool, actor: str) -> Node:
        if (await self._store.nodes.get(name)).cordoned != cordoned:
            await self._store.nodes.update(name, cordoned=cordoned)
            await self._events.emit("node.cordoned" if cordoned else "node.uncordoned", name, actor)
        return await self._listing.get(name)


def build_changes(node: Node, edit: NodeEdit) -> dict[str, Any]:
    """Return what changes of the node's record, by field. A label that is None is taken away.

    Raises `InvalidInput`.
    """
    changes: dict[str, Any] = {key: getattr(edit, key) for key in edit.model_fields_set}
    if edit.address is not None:
        changes |= {key: value for key, value in build_route(edit.address, edit.user, edit.port).items() if value}
    if edit.jump is not None:
        changes["jump"] = build_jump(edit.jump)
    if edit.labels is not None:
        merged = {**node.labels, **edit.labels}
        changes["labels"] = {key: value for key, value in merged.items() if value is not None}
    return changes
