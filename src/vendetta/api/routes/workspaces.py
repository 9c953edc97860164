"""`/workspaces`: what is run on the nodes. Changes are operations."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Response, WebSocket
from fastapi.responses import StreamingResponse

from vendetta.api.answers import (
    PROBLEMS,
    Cursor,
    Key,
    Labels,
    Limit,
    PageOf,
    Wait,
    json_response,
    nothing_left,
    operation_response,
    page_response,
    parse_labels,
    result_of,
    until_stopping,
)
from vendetta.api.services import Called, Offered
from vendetta.api.streams import serve_port, serve_process
from vendetta.coordination.requests import RemoveRequest, StopRequest, WorkspaceRequest
from vendetta.models import Operation, Stats, Workspace, WorkspaceState

router = APIRouter(prefix="/workspaces", tags=["workspaces"], responses=PROBLEMS)


@router.get("", response_model=PageOf[Workspace])
async def list_workspaces(
    services: Offered,
    caller: Called,
    node: str | None = None,
    provider: str | None = None,
    state: WorkspaceState | None = None,
    label: Labels = [],  # noqa: B006 - FastAPI copies it
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    page = await services.workspaces.list(
        node=node, provider=provider, state=state, labels=parse_labels(label), limit=limit, cursor=cursor
    )
    return page_response(page)


@router.post("", response_model=Operation, status_code=202)
async def create(
    request: WorkspaceRequest, services: Offered, caller: Called, key: Key = None, wait: Wait = None
) -> Response:
    operation = await services.workspaces.create(request, caller.actor, key)
    return await operation_response(services, operation, wait, created)


@router.get("/{name}", response_model=Workspace)
async def get(name: str, services: Offered, caller: Called) -> Response:
    return json_response(await services.workspaces.get(name))


@router.delete("/{name}", response_model=Operation, status_code=202)
async def remove(
    name: str, services: Offered, caller: Called, force: bool = False, key: Key = None, wait: Wait = None
) -> Response:
    operation = await services.workspaces.remove(name, RemoveRequest(force=force), caller.actor, key)
    return await operation_response(services, operation, wait, nothing_left)


@router.post("/{name}/start", response_model=Operation, status_code=202)
async def start(name: str, services: Offered, caller: Called, key: Key = None, wait: Wait = None) -> Response:
    operation = await services.workspaces.start(name, caller.actor, key)
    return await operation_response(services, operation, wait, result_of)


@router.post("/{name}/stop", response_model=Operation, status_code=202)
async def stop(
    name: str,
    services: Offered,
    caller: Called,
    body: StopRequest | None = None,
    key: Key = None,
    wait: Wait = None,
) -> Response:
    operation = await services.workspaces.stop(name, body or StopRequest(), caller.actor, key)
    return await operation_response(services, operation, wait, result_of)


@router.post("/{name}/restart", response_model=Operation, status_code=202)
async def restart(
    name: str,
    services: Offered,
    caller: Called,
    body: StopRequest | None = None,
    key: Key = None,
    wait: Wait = None,
) -> Response:
    operation = await services.workspaces.restart(name, body or StopRequest(), caller.actor, key)
    return await operation_response(services, operation, wait, result_of)


@router.get("/{name}/logs", response_class=StreamingResponse)
async def logs(
    name: str,
    services: Offered,
    caller: Called,
    follow: bool = False,
    tail: Annotated[int | None, Query(ge=0)] = None,
    since: Annotated[float | None, Query(ge=0, description="seconds since the epoch")] = None,
) -> Response:
    """What the workspace's own command wrote, raw, as it comes."""
    outputs = services.workspaces.logs(name, follow=follow, tail=tail, since=since)
    pieces = until_stopping(outputs, services)
    # the first piece is awaited here, so that what goes wrong is still a problem with a status
    first = await anext(pieces, None)

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            if first is not None:
                yield first.data
            async for output in pieces:
                if output is not None:
                    yield output.data

    return StreamingResponse(body(), media_type="application/octet-stream")


@router.get("/{name}/stats", response_model=Stats)
async def stats(name: str, services: Offered, caller: Called) -> Response:
    return json_response(await services.workspaces.stats(name))


@router.websocket("/{name}/exec")
async def exec_(websocket: WebSocket, name: str, services: Offered, caller: Called) -> None:
    await serve_process(websocket, services, lambda request: services.workspaces.exec(name, request))


@router.websocket("/{name}/ports/{port}")
async def port(websocket: WebSocket, name: str, port: int, services: Offered, caller: Called) -> None:
    await serve_port(websocket, services, lambda: services.workspaces.dial(name, port))


async def created(operation: Operation) -> Response:
    return json_response(operation.result, 201)
