"""A server without HTTP and SSH: the real store, operations and steps, over nodes whose engines are in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tests.doubles.memory import MemoryEngines, MemoryProvider
from tests.unit.fakes import FakeTransport

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.events import Events
from vendetta.coordination.monitoring import Observation
from vendetta.coordination.monitoring.link_requests import LinkRequests
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.nodes.changing import NodeChanges
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.nodes.listing import NodeListing
from vendetta.coordination.operations import Operations
from vendetta.coordination.operations.handlers import register_handlers
from vendetta.coordination.requests import WorkspaceRequest
from vendetta.coordination.workspaces import Workspaces
from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.coordination.workspaces.move import Moves
from vendetta.coordination.workspaces.node_slots import NodeSlots
from vendetta.errors import ConnectFailed
from vendetta.models import Event, Node, Operation, ProviderStatus, Resources, Workspace
from vendetta.providers.base import Provider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology
from vendetta.ssh.identity import HostKeys
from vendetta.ssh.pool import Pool
from vendetta.store import Store

ACTOR = "uid:0"
ASK = Ask(ACTOR)
GIB = 2**30


class MemoryLinks(Engines):
    """Without a pool: every node is reached, but for those in `down`."""

    def __init__(self, store: Store, memory: MemoryEngines) -> None:
        super().__init__(store, cast(Pool, None), Registry(Technology.of(MemoryProvider, memory.bind)))
        self.down: set[str] = set()
        self._memory = memory

    @asynccontextmanager
    async def provider(self, node_name: str, kind: str) -> AsyncIterator[Provider]:
        await self._store.nodes.get(node_name)
        if node_name in self.down:
            raise ConnectFailed(f"connect to node {node_name}: nobody answers", node=node_name)
        transport = FakeTransport()
        transport.node = node_name
        yield self._memory.bind(transport, self._store.server_id)


class StoredNodes(NodeListing):
    """Nodes as they are recorded: without a pool there are no breakers."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, cast(Pool, None))
        self._store = store

    async def get(self, name: str) -> Node:
        return await self._store.nodes.get(name)


@dataclass
class World:
    store: Store
    events: Events
    memory: MemoryEngines
    engines: MemoryLinks
    observation: Observation
    operations: Operations
    transitions: Lifecycle
    workspaces: Workspaces
    node_changes: NodeChanges
    moves: Moves
    draining: Draining

    async def add_node(self, name: str, **fields: Any) -> Node:
        resources = Resources(
            cpus=4, memory_bytes=8 * GIB, disk_free_bytes=100 * GIB, arch="x86_64", kernel="Linux 6.1", os="Debian"
        )
        given: dict[str, Any] = {
            "status": "connected",
            "resources": resources,
            "providers": {"memory": ProviderStatus(state="healthy")},
            **fields,
        }
        now = datetime.now(UTC)
        return await self.store.nodes.add(
            Node(id=name, name=name, address="192.0.2.1", user=None, port=None, since=now, **given)
        )

    async def submit(self, name: str, **fields: Any) -> Operation:
        """The creation of a workspace."""
        request = WorkspaceRequest(name=name, provider="memory", **{"image": "busybox", **fields})
        return await self.workspaces.create(ASK, request)

    async def create(self, name: str, **fields: Any) -> Operation:
        return await self.end(await self.submit(name, **fields))

    async def end(self, operation: Operation) -> Operation:
        return await self.operations.wait(operation.id, 30)

    async def get(self, name: str) -> Workspace:
        return await self.store.workspaces.get(name)

    async def told(self, *kinds: str) -> list[Event]:
        return [event for event in (await self.store.events.list(limit=1000)).items if event.kind in kinds]


@asynccontextmanager
async def open_world(folder: Path, memory: MemoryEngines) -> AsyncIterator[World]:
    """Opened again on the same folder and engines it is the next process: what is unfinished goes on at once."""
    async with Store.open(str(folder / "state.db")) as store, Events(store) as events:
        engines = MemoryLinks(store, memory)
        observation = Observation(store, events)
        node_slots = NodeSlots()
        operations = Operations(store, events, drain_seconds=0.0)
        transitions = Lifecycle(store, engines, observation, node_slots)
        workspaces = Workspaces(store, engines, operations)
        # cordoning needs no link
        node_changes = NodeChanges(
            store, events, StoredNodes(store), cast(LinkRequests, None), cast(LinkStatus, None), cast(HostKeys, None)
        )
        moves = Moves(store, events, engines, operations, transitions, node_slots)
        draining = Draining(
            store=store, operations=operations, workspaces=workspaces, node_changes=node_changes, moves=moves
        )
        register_handlers(operations, transitions, moves, draining)
        world = World(
            store=store,
            events=events,
            memory=memory,
            engines=engines,
            observation=observation,
            operations=operations,
            transitions=transitions,
            workspaces=workspaces,
            node_changes=node_changes,
            moves=moves,
            draining=draining,
        )
        async with operations:
            yield world
