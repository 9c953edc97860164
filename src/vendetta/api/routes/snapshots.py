"""`/workspaces/{name}/snapshots`: what a workspace's disk held, kept. Changes are operations."""

from fastapi import APIRouter, Response

from vendetta.api.answers import (
    API,
    Asked,
    PageOf,
    Wait,
    created,
    json_response,
    nothing_left,
    operation_response,
    result_of,
)
from vendetta.api.bodies import Route
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import SnapshotChoice, SnapshotRequest
from vendetta.models import Operation, Snapshot, Workspace

router = APIRouter(
    prefix=f"{API}/workspaces/{{name}}/snapshots", tags=["snapshots"], responses=PROBLEMS, route_class=Route
)


@router.get("", response_model=PageOf[Snapshot])
async def list_snapshots(name: str, services: Offered) -> Response:
    """List the workspace's snapshots, oldest first, all on one page."""
    return json_response({"items": await services.workspaces.snapshots(name), "next_cursor": None})


@router.post("", response_model=Operation, status_code=202, responses={201: {"model": Snapshot}})
async def create(name: str, request: SnapshotRequest, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Take a snapshot of the workspace's disk."""
    operation = await services.changes.submit(ask, "workspace.snapshot", name, request)
    return await operation_response(services, operation, wait, created)


@router.post("/{snapshot}/restore", response_model=Operation, status_code=202, responses={200: {"model": Workspace}})
async def restore(name: str, snapshot: str, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Restore the workspace's disk from a snapshot. The workspace must be stopped."""
    operation = await services.changes.submit(ask, "workspace.restore", name, SnapshotChoice(snapshot=snapshot))
    return await operation_response(services, operation, wait, result_of)


@router.delete(
    "/{snapshot}", response_model=Operation, status_code=202, responses={204: {"description": "Removed within `wait`."}}
)
async def remove(name: str, snapshot: str, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Remove a snapshot."""
    operation = await services.changes.submit(ask, "workspace.remove-snapshot", name, SnapshotChoice(snapshot=snapshot))
    return await operation_response(services, operation, wait, nothing_left)
