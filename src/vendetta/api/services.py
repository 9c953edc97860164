"""What the routes call, and who is calling."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from vendetta.coordination.dispatch import Dispatcher
from vendetta.coordination.events import Events
from vendetta.coordination.nodes import Nodes
from vendetta.coordination.operations import Operations
from vendetta.coordination.tokens import Tokens
from vendetta.coordination.workspaces import Workspaces
from vendetta.errors import Forbidden, Unauthorized
from vendetta.models import ServerStatus
from vendetta.ssh.keys import Keys

from .peer import LOCAL


@dataclass(frozen=True)
class Services:
    nodes: Nodes
    workspaces: Workspaces
    dispatcher: Dispatcher
    operations: Operations
    events: Events
    tokens: Tokens
    keys: Keys
    status: Callable[[], Awaitable[ServerStatus]]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server is about to stop: what streams ends then."""


@dataclass(frozen=True)
class Caller:
    actor: str
    role: str


def services(connection: HTTPConnection) -> Services:
    found: Services = connection.app.state.services
    return found


Offered = Annotated[Services, Depends(services)]


async def identify(connection: HTTPConnection, offered: Offered) -> Caller:
    """The kernel's word on a unix socket, a token elsewhere. Raises `Unauthorized`, `Forbidden`."""
    peer = connection.scope.get("client")
    if peer and peer[0].startswith(LOCAL):
        return Caller(peer[0], "admin")
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthorized(
            "a token is needed", hint="Make one where the server runs: vendetta token create NAME, then --token."
        )
    token = await offered.tokens.authenticate(secret.strip())
    caller = Caller(f"token:{token.name}", token.role)
    if caller.role == "viewer" and connection.scope.get("method", "WEBSOCKET") not in ("GET", "HEAD"):
        raise Forbidden("a viewer's token may only look", hint="Use a token of the role user.")
    return caller


async def administrator(caller: Annotated[Caller, Depends(identify)]) -> Caller:
    if caller.role != "admin":
        raise Forbidden("only an administrator may do that", hint="Use a token of the role admin, or the socket.")
    return caller


Called = Annotated[Caller, Depends(identify)]
Administrator = Annotated[Caller, Depends(administrator)]
