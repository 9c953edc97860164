"""`/nodes/{name}/belongings`: what of ours a node holds, and taking it away."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, Key, PageOf, Wait, json_response, operation_response, result_of
from vendetta.api.bodies import Route
from vendetta.api.identity import Called
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import NodeCleanupRequest
from vendetta.models import Belonging, CleanupResult, Operation

router = APIRouter(prefix=f"{API}/nodes/{{name}}", tags=["nodes"], responses=PROBLEMS, route_class=Route)


@router.get("/belongings", response_model=PageOf[Belonging])
async def list_belongings(name: str, services: Offered, provider: str | None = None) -> Response:
    """All of them on one page, of every technology unless one is named."""
    return json_response({"items": await services.cleanup.list(name, provider), "next_cursor": None})


@router.post("/cleanup", response_model=Operation, status_code=202, responses={200: {"model": CleanupResult}})
async def clean_up(
    name: str, request: NodeCleanupRequest, services: Offered, caller: Called, key: Key = None, wait: Wait = 0.0
) -> Response:
    """Takes away what no workspace stands for; with `workspaces` everything; with `only` nothing but those ids."""
    operation = await services.cleanup.submit(name, request, caller.actor, key)
    return await operation_response(services, operation, wait, result_of)
