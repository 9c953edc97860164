"""The nodes' use cases: add, edit, connect, trust, run something on, remove."""

import builtins
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vendetta.coordination.cluster.credentials import Credentials
from vendetta.coordination.engines import Engines, build_endpoint
from vendetta.coordination.events import Events
from vendetta.coordination.monitoring import Monitor
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.requests import ExecRequest, NodeEdit, NodeRequest, build_terminal
from vendetta.coordination.workspaces.placement import ENDED, build_room
from vendetta.errors import InvalidInput, WrongState
from vendetta.models import Key, Node
from vendetta.ssh.authorized_keys.lines import build_options
from vendetta.ssh.endpoint import Login, parse_address
from vendetta.ssh.identity import HostKeys
from vendetta.ssh.login import Connector
from vendetta.ssh.pool import Pool
from vendetta.store import Committed, Page, Store
from vendetta.transport import Process

from .key_install import KeyInstall


class Nodes:
    def __init__(
        self,
        *,
        store: Store,
        events: Events,
        pool: Pool,
        connector: Connector,
        authorization: KeyInstall,
        host_keys: HostKeys,
        credentials: Credentials,
        engines: Engines,
        links: LinkStatus,
        monitor: Monitor,
        wishes: LinkRequests,
    ) -> None:
        self._store = store
        self._events = events
        self._pool = pool
        self._connector = connector
        self._authorization = authorization
        self._host_keys = host_keys
        self._credentials = credentials
        self._engines = engines
        self._links = links
        self._monitor = monitor
        self._wishes = wishes

    async def add(
        self, request: NodeRequest, login: Login, *, connect: bool = True, install_key: bool = False, actor: str
    ) -> Node:
        """Records the node; with `connect`, logs in and learns what is there, and records nothing where that fails.

        Raises `InvalidInput`, `NameTaken`, any `LinkError`.
        """
        node = build_node(request)
        await self._store.nodes.add(node)
        await self._wishes.add(node.name)
        if connect:
            try:
                await self._pool.connect(build_endpoint(node), login)
                if install_key:
                    await self.install_key(node.name, login, None, actor)
                await self._monitor.refresh(node.name)
            except BaseException:
                await self._forget(node.name)
                raise
            await self._wishes.follow(node.name)
        await self._links.settled()
        await self._events.emit("node.added", node.name, actor, address=node.address)
        return await self.get(node.name)

    async def get(self, name: str) -> Node:
        (node,) = await self._filled_in([await self._store.nodes.get(name)])
        return node

    async def list(
        self,
        *,
        labels: Mapping[str, str] | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Node]:
        page = await self._store.nodes.list(labels=labels or {}, status=status, limit=limit, cursor=cursor)
        return replace(page, items=await self._filled_in(page.items))

    async def edit(self, name: str, edit: NodeEdit, actor: str) -> Node:
        """Changes what is named. Where the way to the node changes, it is connected anew."""
        node = await self.get(name)
        changes = build_changes(node, edit)
        moved = any(getattr(node, key) != value for key, value in changes.items() if key in ROUTE)
        await self._store.nodes.update(name, **changes)
        await self._events.emit("node.edited", name, actor, changed=sorted(changes))
        if moved:
            await self._wishes.reroute(name)
        return await self.get(name)

    async def connect(self, name: str, login: Login, actor: str) -> Node:
        """Logs in (again), now. Raises any `LinkError`; the node is then tried again in the background."""
        node = await self.get(name)
        if login.sudo_password is not None:
            await self._pool.disconnect(name)  # it is the next connection that knows it
        try:
            await self._pool.connect(build_endpoint(node), login)
            await self._monitor.refresh(name)
        finally:
            await self._wishes.follow(name)
        await self._links.settled()
        return await self.get(name)

    async def disconnect(self, name: str, actor: str) -> Node:
        """Closes the link, until somebody asks for the node again. What runs there goes on."""
        await self.get(name)
        await self._wishes.rest(name, f"disconnected by {actor}")
        await self._events.emit("node.disconnected", name, actor)
        return await self.get(name)

    async def cordon(self, name: str, actor: str) -> Node:
        """Nothing new is placed there from now on; what is there goes on. Cordoned already: nothing happens."""
        return await self._set_cordoned(name, True, actor)

    async def uncordon(self, name: str, actor: str) -> Node:
        """Open already: nothing happens."""
        return await self._set_cordoned(name, False, actor)

    async def probe(self, name: str) -> Node:
        """Asks the node everything, now."""
        await self._monitor.refresh(name)
        await self._links.settled()
        return await self.get(name)

    async def trust(self, name: str, fingerprint: str | None, actor: str) -> Node:
        """Accepts the host key that the node offers now if it is `fingerprint`, else `HostKeyUnknown` tells it."""
        node = await self.get(name)
        trusted = await self._connector.trust(build_endpoint(node), fingerprint)
        await self._events.emit("node.trusted", name, actor, fingerprint=trusted.fingerprint)
        return await self.connect(name, Login(), actor)

    async def remove(self, name: str, *, force: bool = False, actor: str) -> None:
        """Forgets the node. With workspaces on it: `WrongState`, unless `force`; what runs there goes on running."""
        await self.get(name)
        workspaces = [workspace.name for workspace in await self._store.workspaces.all(node=name)]
        if workspaces and not force:
            raise WrongState(
                f"node {name} has {len(workspaces)} workspaces: {', '.join(workspaces[:5])}",
                hint="Remove them first, or use --force to forget them too (what runs on the node goes on running).",
                workspaces=workspaces,
            )
        for workspace in workspaces:
            await self._store.workspaces.remove(workspace)
        await self._forget(name)
        await self._events.emit("node.removed", name, actor, forgotten=workspaces)

    @asynccontextmanager
    async def exec(self, name: str, request: ExecRequest) -> AsyncIterator[Process]:
        """A process on the node itself. An empty `argv` is the login shell."""
        if request.cwd or request.user:
            raise InvalidInput("exec on a node takes neither cwd nor user", hint="Use: env -C DIR … or sudo -u USER …")
        terminal = build_terminal(request)
        async with self._engines.connection(name) as connection:
            process = await connection.open_process(request.argv, terminal=terminal, env=request.env)
            try:
                yield process
            finally:
                await process.close()

    async def install_key(
        self,
        name: str,
        login: Login,
        public_key: str | None,
        actor: str,
        *,
        restrict: bool = False,
        sources: Sequence[str] = (),
    ) -> Key | None:
        """Puts a public key (None: the server's own, made where there is none) into the node's authorized_keys.

        It is then proved, and taken out again where the node doesn't let it in: `AuthFailed`. `restrict`: for no more
        than Vendetta needs. `sources`: for logins from there alone. Raises what `KeyInstall.install` does.
        """
        node = await self.get(name)
        options = build_options(restrict=restrict, sources=sources)
        key = None if public_key else await self._credentials.own_key()
        await self._pool.connect(build_endpoint(node), login)
        async with self._engines.connection(name) as connection:
            given = key or public_key or ""
            await self._authorization.install(connection, build_endpoint(node), given, options=options or None)
        await self._events.emit("node.key_installed", name, actor, fingerprint=key.fingerprint if key else None)
        return key

    async def _set_cordoned(self, name: str, cordoned: bool, actor: str) -> Node:
        if (await self._store.nodes.get(name)).cordoned != cordoned:
            await self._store.nodes.update(name, cordoned=cordoned)
            await self._events.emit("node.cordoned" if cordoned else "node.uncordoned", name, actor)
        return await self.get(name)

    async def _filled_in(self, nodes: Sequence[Node]) -> builtins.list[Node]:
        """With what isn't kept but known: the breaker and the room."""
        promised = await self._store.workspaces.promised([node.name for node in nodes], without=ENDED)
        return [
            replace(
                node,
                breaker=breaker.snapshot if (breaker := self._pool.breaker(node.name)) else None,
                room=build_room(node, promised.get(node.name, Committed())),
            )
            for node in nodes
        ]

    async def _forget(self, name: str) -> None:
        await self._wishes.forget(name)
        await self._links.settled()
        self._host_keys.forget(name)
        await self._store.nodes.remove(name)


ROUTE = frozenset({"address", "user", "port", "identity", "jump", "sudo"})
"""What decides how a node is reached."""


def build_node(request: NodeRequest) -> Node:
    """Raises `InvalidInput` where the address and the separate user or port contradict each other."""
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


def build_route(address: str, user: str | None, port: int | None) -> dict[str, Any]:
    parsed = parse_address(address)
    for word, inside, beside in (("user", parsed.user, user), ("port", parsed.port, port)):
        if inside is not None and beside is not None and inside != beside:
            raise InvalidInput(f"{address} says {word} {inside}, and --{word} says {beside}", hint="Give it once.")
    return {"address": parsed.host, "user": user or parsed.user, "port": port or parsed.port}


def build_jump(hops: list[str]) -> list[str]:
    for hop in hops:
        parse_address(hop)
    return list(hops)


def build_changes(node: Node, edit: NodeEdit) -> dict[str, Any]:
    changes: dict[str, Any] = {key: getattr(edit, key) for key in edit.model_fields_set}
    if edit.address is not None:
        changes |= {key: value for key, value in build_route(edit.address, edit.user, edit.port).items() if value}
    if edit.jump is not None:
        changes["jump"] = build_jump(edit.jump)
    if edit.labels is not None:
        merged = {**node.labels, **edit.labels}
        changes["labels"] = {key: value for key, value in merged.items() if value is not None}
    return changes
