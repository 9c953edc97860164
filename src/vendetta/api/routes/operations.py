"""`/operations`: changes, tracked."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from vendetta.api.answers import (
    PROBLEMS,
    Cursor,
    Limit,
    PageOf,
    event_stream,
    json_response,
    page_response,
)
from vendetta.api.services import Called, Offered
from vendetta.models import Operation, OperationState

router = APIRouter(prefix="/operations", tags=["operations"], responses=PROBLEMS)


@router.get("", response_model=PageOf[Operation])
async def list_operations(
    services: Offered,
    caller: Called,
    state: OperationState | None = None,
    target: str | None = None,
    kind: str | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The newest first."""
    page = await services.operations.list(state=state, target=target, kind=kind, limit=limit, cursor=cursor)
    return page_response(page)


@router.get("/{id}", response_model=Operation)
async def get(
    id: str, services: Offered, caller: Called, wait: Annotated[float | None, Query(ge=0, le=3600)] = None
) -> Response:
    """With `wait`: once it has ended, or those seconds are over."""
    if wait:
        return json_response(await services.operations.wait(id, wait))
    return json_response(await services.operations.get(id))


@router.post("/{id}/cancel", response_model=Operation)
async def cancel(id: str, services: Offered, caller: Called) -> Response:
    return json_response(await services.operations.cancel(id))


@router.get("/{id}/watch", response_class=StreamingResponse)
async def watch(id: str, services: Offered, caller: Called) -> Response:
    """Server-sent events: the operation whenever it changes, until it has ended."""
    await services.operations.get(id)
    return event_stream(services.operations.watch(id), services)
