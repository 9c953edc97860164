"""The use cases that the routes call, and how a route gets them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from vendetta.coordination.cluster import Membership
from vendetta.coordination.cluster.credentials import Credentials
from vendetta.coordination.commands import Bulk, Dispatcher, Submitter
from vendetta.coordination.commands.descriptions import Descriptions
from vendetta.coordination.doctor import Doctor
from vendetta.coordination.events import Events
from vendetta.coordination.figures import Figures
from vendetta.coordination.nodes.adding import NodeAdding
from vendetta.coordination.nodes.changing import NodeChanges
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.drain import Draining
from vendetta.coordination.nodes.engine_sockets import EngineSockets
from vendetta.coordination.nodes.host_key_trust import HostKeyTrust
from vendetta.coordination.nodes.images import Images
from vendetta.coordination.nodes.key_rotation import KeyRotations
from vendetta.coordination.nodes.links import NodeLinks
from vendetta.coordination.nodes.listing import NodeListing
from vendetta.coordination.nodes.node_keys import NodeKeys
from vendetta.coordination.nodes.processes import NodeProcesses
from vendetta.coordination.operations import Operations
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.workspaces import Workspaces
from vendetta.models import Event, ServerStatus
from vendetta.ssh.identity import Keys


class Listener(Protocol):
    """What is called with each event and each round trip to a node: the metrics. Its methods must not wait."""

    def on_event(self, event: Event) -> None: ...

    def on_round_trip(self, seconds: float) -> None: ...


def _listen_to_nothing(listener: Listener) -> None:
    """Ignore the listener: for services without events."""


@dataclass(frozen=True)
class Services:
    """The use cases, and what else the routes call."""

    nodes: NodeListing
    node_adding: NodeAdding
    node_changes: NodeChanges
    node_links: NodeLinks
    node_keys: NodeKeys
    node_processes: NodeProcesses
    host_key_trust: HostKeyTrust
    doctor: Doctor
    bulk: Bulk
    workspaces: Workspaces
    changes: Submitter
    draining: Draining
    images: Images
    cleanup: Cleanup
    descriptions: Descriptions
    dispatcher: Dispatcher
    operations: Operations
    events: Events
    tokens: Tokens
    keys: Keys
    credentials: Credentials
    replicas: Membership
    rotation: KeyRotations
    sockets: EngineSockets
    status: Callable[[], Awaitable[ServerStatus]]
    check_state: Callable[[], Awaitable[None]]
    """Raises `ServerUnavailable` where the state can't be read or written."""
    figures: Callable[[], Awaitable[Figures]]
    listen: Callable[[Listener], None] = _listen_to_nothing
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to stop: requests that wait or stream end then."""


async def services(connection: HTTPConnection) -> Services:
    found: Services = connection.app.state.services
    return found


Offered = Annotated[Services, Depends(services)]
