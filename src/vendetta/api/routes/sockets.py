"""`/nodes/{name}/socket`: the node's engine as a unix socket on the server's machine."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API, json_response
from vendetta.api.bodies import Route
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import EngineSocket

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)


@router.post("/{name}/socket", response_model=EngineSocket)
async def open_(name: str, services: Offered, provider: str | None = None) -> Response:
    """Open a unix socket on the server's machine that leads to the node's engine, or return the one that is open.

    Without `provider`: to the first healthy engine of the node that has a socket.
    """
    return json_response(await services.sockets.open(name, provider))


@router.delete("/{name}/socket", status_code=204)
async def close(name: str, services: Offered, provider: str | None = None) -> Response:
    """Close the sockets to the node's engines, or the one to the provider's."""
    await services.sockets.close(name, provider)
    return Response(status_code=204)
