"""`/nodes/run`: one command on many nodes."""

from fastapi import APIRouter, Response

from vendetta.api.answers import API
from vendetta.api.bodies import Route
from vendetta.api.feeds import LINES, lines_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import RunRequest
from vendetta.models import NodeRun

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)


@router.post("/run", response_class=Response, responses={200: {"content": {LINES: {}}, "model": NodeRun}})
async def run(request: RunRequest, services: Offered) -> Response:
    """Run a command on many nodes; answer with a line of JSON for each, as soon as it has ended there.

    An empty line now and then keeps the connection open. Commands that still run are ended where the caller hangs up.
    """
    return await lines_response(services.node_processes.run(request), services)
