"""Who is calling: the kernel's word on the unix socket, a token elsewhere. Decided before anything else is read."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from vendetta.coordination.tokens import Tokens
from vendetta.errors import Forbidden, Unauthorized, VendettaError

from .peer import LOCAL
from .problems import refuse

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})
"""What anyone may ask: that the server lives, and how it is spoken to."""


@dataclass(frozen=True)
class Caller:
    actor: str
    role: str


class Identity:
    """Lets in those who are known, requests and WebSockets alike; the rest get a problem."""

    def __init__(self, app: ASGIApp, *, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN:
            try:
                scope.setdefault("state", {})["caller"] = await identify(HTTPConnection(scope), self._tokens)
            except VendettaError as exc:
                await refuse(HTTPConnection(scope), exc)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def identify(connection: HTTPConnection, tokens: Tokens) -> Caller:
    """Return who asks. Raises `Unauthorized`, `Forbidden`."""
    peer = connection.scope.get("client")
    if peer and peer[0].startswith(LOCAL):
        return Caller(peer[0], "admin")
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized(
            "a token is needed", hint="Make one where the server runs: vendetta token create NAME, then --token."
        )
    token = await tokens.authenticate(secret.strip())
    if token.role == "viewer" and connection.scope.get("method", "WEBSOCKET") not in ("GET", "HEAD"):
        raise Forbidden("a viewer's token may only look", hint="Use a token of the role user.")
    return Caller(f"token:{token.name}", token.role)


async def caller(connection: HTTPConnection) -> Caller:
    found: Caller = connection.state.caller
    return found


Called = Annotated[Caller, Depends(caller)]


async def administrator(caller: Called) -> Caller:
    if caller.role != "admin":
        raise Forbidden("only an administrator may do that", hint="Use a token of the role admin, or the socket.")
    return caller


Administrator = Annotated[Caller, Depends(administrator)]
