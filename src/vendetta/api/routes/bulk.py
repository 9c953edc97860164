"""`/workspaces/bulk` and `/nodes/bulk`: make one change to many."""

from typing import Any

from fastapi import APIRouter, Response

from vendetta.api.answers import API, AskedOnce
from vendetta.api.bodies import Route
from vendetta.api.feeds import LINES, lines_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import BulkRequest, WorkspaceBulkRequest
from vendetta.models import BulkResult

router = APIRouter(prefix=API, responses=PROBLEMS, route_class=Route)

RESULTS: dict[int | str, dict[str, Any]] = {200: {"content": {LINES: {}}, "model": BulkResult}}


@router.post("/workspaces/bulk", tags=["workspaces"], response_class=Response, responses=RESULTS)
async def change_workspaces(request: WorkspaceBulkRequest, services: Offered, ask: AskedOnce) -> Response:
    """Make one change to many workspaces; answer with a line of JSON for each, as soon as its change has ended.

    An empty line now and then keeps the connection open. Each change is an operation of its own, and goes on when the
    caller goes away. A request with the same `Idempotency-Key` returns the outcome of the same operations.
    """
    return await lines_response(services.bulk.change_workspaces(ask, request), services)


@router.post("/nodes/bulk", tags=["nodes"], response_class=Response, responses=RESULTS)
async def change_nodes(request: BulkRequest, services: Offered, ask: AskedOnce) -> Response:
    """Make one change to many nodes, as `/workspaces/bulk` does to workspaces."""
    return await lines_response(services.bulk.change_nodes(ask, request), services)
