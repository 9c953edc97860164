"""`/operations`: changes, tracked."""

from fastapi import APIRouter, Response

from vendetta.api.answers import (
    API,
    Cursor,
    Limit,
    PageOf,
    Wait,
    json_response,
    page_response,
    wait_for,
)
from vendetta.api.feeds import event_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.models import Operation, OperationState

router = APIRouter(prefix=f"{API}/operations", tags=["operations"], responses=PROBLEMS)


@router.get("", response_model=PageOf[Operation])
async def list_operations(
    services: Offered,
    state: OperationState | None = None,
    target: str | None = None,
    kind: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the operations, newest first: those of the state, target and kind, where they are given."""
    page = await services.operations.list(state=state, target=target, kind=kind, limit=limit, cursor=cursor)
    return page_response(page)


@router.get("/{id}", response_model=Operation)
async def get(id: str, services: Offered, wait: Wait = 0.0) -> Response:
    """Return the operation; with `wait` once it has ended, or after so many seconds."""
    if wait:
        return json_response(await wait_for(services, id, wait))
    return json_response(await services.operations.get(id))


@router.post("/{id}/cancel", response_model=Operation)
async def cancel(id: str, services: Offered) -> Response:
    """Cancel the operation. A step that can't be stopped is finished first; 409 if the operation has ended."""
    return json_response(await services.operations.cancel(id))


@router.get("/{id}/watch", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def watch(id: str, services: Offered) -> Response:
    """Stream the operation as server-sent events: as it is now, and whenever it changes, until it has ended."""
    await services.operations.get(id)
    return event_response(services.operations.watch(id), services)
