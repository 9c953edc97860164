"""`/keys` (who the server is to its nodes), `/tokens` (who a caller is to the server) and `/server` itself."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field
from starlette.requests import HTTPConnection

from vendetta.api.answers import API, PageOf, json_response
from vendetta.api.bodies import Route
from vendetta.api.identity import Administrator
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import Request
from vendetta.models import Key, ServerStatus, Token, TokenCreated

router = APIRouter(prefix=API, responses=PROBLEMS, route_class=Route)


class KeyRequest(Request):
    type: Literal["ed25519", "ecdsa", "rsa"] = "ed25519"


class UnlockRequest(Request):
    """A passphrase, which isn't kept; the key that it unlocks stays in memory until the server ends."""

    passphrase: str = Field(repr=False)
    path: str | None = Field(None, min_length=1, description="key file; without it all that the passphrase fits")


class TokenRequest(Request):
    name: str = Field(min_length=1, max_length=100)
    role: str = "user"


@router.get("/keys", response_model=PageOf[Key], tags=["keys"])
async def list_keys(services: Offered) -> Response:
    """List the keys with which the server can log in to nodes, all on one page."""
    await services.credentials.pull()
    return json_response({"items": await services.keys.detect(), "next_cursor": None})


@router.post("/keys", response_model=Key, status_code=201, tags=["keys"])
async def generate_key(request: KeyRequest, services: Offered, caller: Administrator) -> Response:
    """Generate a key of the server's own."""
    await services.credentials.pull()
    key = await asyncio.to_thread(services.keys.generate, request.type)
    await services.credentials.share_keys()
    return json_response(key, 201)


@router.post("/keys/unlock", response_model=PageOf[Key], tags=["keys"])
async def unlock_keys(request: UnlockRequest, services: Offered, caller: Administrator) -> Response:
    """Decrypt keys with a passphrase, and return those that it fits."""
    path = Path(request.path) if request.path else None
    unlocked = await services.keys.unlock(request.passphrase, path)
    return json_response({"items": unlocked, "next_cursor": None})


@router.get("/tokens", response_model=PageOf[Token], tags=["tokens"])
async def list_tokens(services: Offered, caller: Administrator) -> Response:
    """List the tokens, without their secrets, all on one page; revoked ones too."""
    return json_response({"items": await services.tokens.list(), "next_cursor": None})


@router.post("/tokens", response_model=TokenCreated, status_code=201, tags=["tokens"])
async def create_token(request: TokenRequest, services: Offered, caller: Administrator) -> Response:
    """Create a token. Its secret is in this answer and in no later one."""
    return json_response(await services.tokens.create(request.name, request.role, caller.actor), 201)


@router.delete("/tokens/{id}", response_model=Token, tags=["tokens"])
async def revoke_token(id: str, services: Offered, caller: Administrator) -> Response:
    """Revoke the token: requests with it are refused from now on."""
    return json_response(await services.tokens.revoke(id, caller.actor))


@router.get("/server", response_model=ServerStatus, tags=["server"])
async def server(connection: HTTPConnection, services: Offered) -> Response:
    """Return the status of the server and of its replicas."""
    others = connection.app.state.metrics.requests_running - 1
    return json_response(replace(await services.status(), requests_running=others))
