"""`/nodes/{name}/drain` and `undrain`: a node emptied before it is worked on, and taken back into use."""

from typing import Any

from fastapi import APIRouter, Response

from vendetta.api.answers import API, Key, Wait, json_response, operation_response, result_of
from vendetta.api.bodies import Route
from vendetta.api.identity import Called
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import DrainRequest
from vendetta.models import DrainResult, Operation

router = APIRouter(prefix=f"{API}/nodes/{{name}}", tags=["nodes"], responses=PROBLEMS, route_class=Route)

DONE: dict[int | str, dict[str, Any]] = {200: {"model": DrainResult, "description": "Waited for, and done."}}


@router.post("/drain", response_model=Operation, status_code=202, responses=DONE)
async def drain(
    name: str, services: Offered, caller: Called, body: DrainRequest | None = None, key: Key = None, wait: Wait = 0.0
) -> Response:
    """Cordons it; then each workspace is stopped, or moved. Where one can't be moved nothing is done, without `force`.

    What could not be drained in the end is in the `workspaces` of the problem's details, as in the result.
    """
    operation = await services.draining.submit(name, body or DrainRequest(), caller.actor, key)
    return await operation_response(services, operation, wait, result_of)


@router.post("/drain/plan", response_model=DrainResult)
async def plan(name: str, services: Offered, body: DrainRequest | None = None) -> Response:
    """What a drain would do with each workspace. Nothing is changed."""
    return json_response(await services.draining.plan(name, body or DrainRequest()))


@router.post("/undrain", response_model=Operation, status_code=202, responses=DONE)
async def undrain(name: str, services: Offered, caller: Called, key: Key = None, wait: Wait = 0.0) -> Response:
    """Uncordons it, and starts what a drain has stopped there and nobody has touched since."""
    operation = await services.draining.undrain(name, caller.actor, key)
    return await operation_response(services, operation, wait, result_of)
