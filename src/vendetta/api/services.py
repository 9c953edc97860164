"""What the routes call."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from vendetta.coordination.bulk import Bulk
from vendetta.coordination.cleanup import Cleanup
from vendetta.coordination.credentials import Credentials
from vendetta.coordination.descriptions import Descriptions
from vendetta.coordination.dispatch import Dispatcher
from vendetta.coordination.doctor import Doctor
from vendetta.coordination.draining import Draining
from vendetta.coordination.events import Events
from vendetta.coordination.fleet import Fleet
from vendetta.coordination.images import Images
from vendetta.coordination.moves import Moves
from vendetta.coordination.nodes import Nodes
from vendetta.coordination.operations import Operations
from vendetta.coordination.replicas import Replicas
from vendetta.coordination.rotation import Rotation
from vendetta.coordination.sockets import Sockets
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.workspaces import Workspaces
from vendetta.models import ServerStatus
from vendetta.ssh.keys import Keys


@dataclass(frozen=True)
class Services:
    nodes: Nodes
    doctor: Doctor
    fleet: Fleet
    bulk: Bulk
    workspaces: Workspaces
    moves: Moves
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
    replicas: Replicas
    rotation: Rotation
    sockets: Sockets
    status: Callable[[], Awaitable[ServerStatus]]
    check_state: Callable[[], Awaitable[None]]
    """Raises `ServerUnavailable` where the state can't be read or written."""
    nodes_by_status: Callable[[], Awaitable[Mapping[str, int]]]
    breakers_by_state: Callable[[], Mapping[str, int]] = dict
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to stop: whoever waits or streams ends then."""


async def services(connection: HTTPConnection) -> Services:
    found: Services = connection.app.state.services
    return found


Offered = Annotated[Services, Depends(services)]
