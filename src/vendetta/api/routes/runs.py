"""`/nodes/run`: one command on many nodes."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from vendetta.api.answers import API
from vendetta.api.bodies import Route
from vendetta.api.feeds import until_stopping
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import RunRequest
from vendetta.models import NodeRun

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)

LINES = "application/x-ndjson"


@router.post("/run", response_class=Response, responses={200: {"content": {LINES: {}}, "model": NodeRun}})
async def run(request: RunRequest, services: Offered) -> Response:
    """A line of JSON for each node, as soon as it has run there; an empty line says that it goes on."""
    outcomes = until_stopping(services.fleet.run(request), services)
    first = await anext(outcomes, None)  # so that a node that isn't there is a problem with a status

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(outcomes):
            if first is not None:
                yield msgspec.json.encode(first) + b"\n"
            async for outcome in outcomes:
                yield (msgspec.json.encode(outcome) if outcome else b"") + b"\n"

    return StreamingResponse(lines(), media_type=LINES)
