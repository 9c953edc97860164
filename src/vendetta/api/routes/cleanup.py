"""`/nodes/{name}/belongings`: list what a node holds of this server."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, PageOf, json_response
from vendetta.api.bodies import Route
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import Belonging

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)


@router.get("/{name}/belongings", response_model=PageOf[Belonging])
async def list_belongings(name: str, services: Offered, provider: str | None = None) -> Response:
    """List what the node holds of this server, all on one page: of the provider, or of every one that runs there."""
    return json_response({"items": await services.cleanup.list(name, provider), "next_cursor": None})
