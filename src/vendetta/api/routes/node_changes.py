"""`/nodes/{name}/drain`, `undrain` and `cleanup`: the changes of a node that are operations, and a drain's plan."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, json_response
from vendetta.api.bodies import Route
from vendetta.api.changes import add_change
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.changes import of_many
from vendetta.coordination.requests import DrainRequest
from vendetta.models import DrainResult

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)

NAMES = {"node.cleanup": "clean_up"}
"""What operation ids begin with, where that isn't the verb."""

for kind in of_many("node").values():
    add_change(router, kind, name=NAMES.get(kind))


@router.post("/{name}/drain/plan", response_model=DrainResult)
async def plan(name: str, services: Offered, body: DrainRequest | None = None) -> Response:
    """Return what a drain would do with each workspace of the node. Nothing is changed."""
    return json_response(await services.draining.plan(name, body or DrainRequest()))
