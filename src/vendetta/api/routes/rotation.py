"""`/keys/rotate`: a new key for the server, on every node. An operation, whose result is a `KeyRotation`."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from vendetta.api.answers import API, Key, Wait, operation_response, result_of
from vendetta.api.bodies import Route
from vendetta.api.identity import Administrator
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import Request
from vendetta.models import KeyRotation, Operation

router = APIRouter(prefix=f"{API}/keys", tags=["keys"], responses=PROBLEMS, route_class=Route)

DONE: dict[int | str, dict[str, Any]] = {200: {"model": KeyRotation, "description": "Waited for, and done."}}


class RotateBody(Request):
    nodes: list[str] = Field([], description="none: all of them")
    type: Literal["ed25519", "ecdsa", "rsa"] | None = Field(
        None, description="of the new key; none: that of the one on its way, or ed25519"
    )


@router.post("/rotate", response_model=Operation, status_code=202, responses=DONE)
async def rotate(
    services: Offered, caller: Administrator, body: RotateBody | None = None, key: Key = None, wait: Wait = 0.0
) -> Response:
    body = body or RotateBody()
    operation = await services.rotation.submit(body.nodes, body.type, caller.actor, key)
    return await operation_response(services, operation, wait, result_of)
