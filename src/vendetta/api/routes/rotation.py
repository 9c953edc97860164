"""`/keys/rotate`: a new key for the server, on every node. An operation, whose result is a `KeyRotation`."""

from typing import Any

from fastapi import APIRouter, Depends, Response

from vendetta.api.answers import API, Asked, Wait, operation_response, result_of
from vendetta.api.bodies import Route
from vendetta.api.identity import administrator
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import RotateRequest
from vendetta.models import KeyRotation, Operation

router = APIRouter(prefix=f"{API}/keys", tags=["keys"], responses=PROBLEMS, route_class=Route)

DONE: dict[int | str, dict[str, Any]] = {200: {"model": KeyRotation, "description": "Succeeded within `wait`."}}


@router.post(
    "/rotate", response_model=Operation, status_code=202, responses=DONE, dependencies=[Depends(administrator)]
)
async def rotate(services: Offered, ask: Asked, body: RotateRequest | None = None, wait: Wait = 0.0) -> Response:
    """Generate a new key for the server and exchange it for the old one on the nodes."""
    operation = await services.rotation.submit(ask, body or RotateRequest())
    return await operation_response(services, operation, wait, result_of)
