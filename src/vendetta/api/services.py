"""What the routes call."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

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
from vendetta.coordination.figures import Figures
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
from vendetta.models import Event, ServerStatus
from vendetta.ssh.keys import Keys


class Listener(Protocol):
    """Hears what happens as it happens. Must not wait."""

    def told(self, event: Event) -> None: ...

    def round_trip(self, seconds: float) -> None:
        """One to a node."""


def _nobody_tells(listener: Listener) -> None:
    """Where nothing happens."""


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
    figures: Callable[[], Awaitable[Figures]]
    listen: Callable[[Listener], None] = _nobody_tells
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to stop: whoever waits or streams ends then."""


async def services(connection: HTTPConnection) -> Services:
    found: Services = connection.app.state.services
    return found


Offered = Annotated[Services, Depends(services)]
