"""`/nodes/{name}/doctor`: everything a node needs, examined now."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from vendetta.api.answers import API, json_response
from vendetta.api.bodies import Route
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import DoctorReport

router = APIRouter(prefix=f"{API}/nodes", tags=["nodes"], responses=PROBLEMS, route_class=Route)

Essential = Annotated[bool, Query(description="only the checks without which nothing works")]


@router.get("/{name}/doctor", response_model=DoctorReport)
async def examine(name: str, services: Offered, essential: Essential = False) -> Response:
    """Examine the node now, and return every check, with the command that mends it where it failed."""
    return json_response(await services.doctor.examine(name, essential=essential))
