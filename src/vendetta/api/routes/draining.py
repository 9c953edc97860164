"""`/nodes/{name}/drain` and `undrain`: a node emptied before it is worked on, and taken back into use."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, json_response
from vendetta.api.bodies import Route
from vendetta.api.changes import add_change
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import DrainRequest
from vendetta.models import DrainResult

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)

add_change(router, "node.drain")
add_change(router, "node.undrain")


@router.post("/{name}/drain/plan", response_model=DrainResult)
async def plan(name: str, services: Offered, body: DrainRequest | None = None) -> Response:
    """What a drain would do with each workspace. Nothing is changed."""
    return json_response(await services.draining.plan(name, body or DrainRequest()))
