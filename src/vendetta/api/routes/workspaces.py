"""`/workspaces`: what is run on the nodes. Changes are operations."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response, WebSocket

from vendetta.api.answers import (
    API,
    Asked,
    Cursor,
    Labels,
    Limit,
    PageOf,
    Wait,
    created,
    json_response,
    nothing_left,
    operation_response,
    page_response,
    parse_pairs,
)
from vendetta.api.bodies import Route
from vendetta.api.changes import add_change
from vendetta.api.feeds import LINES, lines_response, output_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.api.streams import serve_port, serve_process
from vendetta.coordination.changes import of_many
from vendetta.coordination.requests import RemoveRequest, WorkspaceRequest, build_terminal
from vendetta.models import Operation, Stats, Workspace, WorkspaceState
from vendetta.transport import Terminal

router = APIRouter(prefix=f"{API}/workspaces", tags=["workspaces"], responses=PROBLEMS, route_class=Route)

Force = Annotated[bool, Query(description="also while it runs")]


@router.get("", response_model=PageOf[Workspace])
async def list_workspaces(
    services: Offered,
    label: Labels,
    node: str | None = None,
    provider: str | None = None,
    state: WorkspaceState | None = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List the workspaces: those with all of the labels, and of the node, provider and state, where they are given."""
    page = await services.workspaces.list(
        node=node, provider=provider, state=state, labels=parse_pairs(label, "label"), limit=limit, cursor=cursor
    )
    return page_response(page)


@router.post("", response_model=Operation, status_code=202, responses={201: {"model": Workspace}})
async def create(request: WorkspaceRequest, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Create a workspace, and start it unless `start` is false."""
    operation = await services.workspaces.create(ask, request)
    return await operation_response(services, operation, wait, created)


@router.get("/{name}", response_model=Workspace)
async def get(name: str, services: Offered) -> Response:
    """Return the workspace as it was last seen."""
    return json_response(await services.workspaces.get(name))


@router.delete(
    "/{name}", response_model=Operation, status_code=202, responses={204: {"description": "Removed within `wait`."}}
)
async def remove(name: str, services: Offered, ask: Asked, force: Force = False, wait: Wait = 0.0) -> Response:
    """Remove the workspace and all that it holds. One that runs is removed only with `force`."""
    operation = await services.changes.submit(ask, "workspace.remove", name, RemoveRequest(force=force))
    return await operation_response(services, operation, wait, nothing_left)


for verb, kind in of_many("workspace").items():
    if verb != "remove":  # which is a DELETE
        add_change(router, kind)


@router.get(
    "/{name}/logs", response_class=Response, responses={200: {"content": {"application/octet-stream": {}, LINES: {}}}}
)
async def logs(
    name: str,
    services: Offered,
    accept: Annotated[str, Header()] = "application/octet-stream",
    follow: Annotated[bool, Query(description="go on with what is written from now on")] = False,
    tail: Annotated[int | None, Query(ge=0, description="only so many of the last lines")] = None,
    since: Annotated[
        float | None, Query(ge=0, description="only what was written since then, in seconds since the epoch")
    ] = None,
) -> Response:
    """Return what the workspace's own command wrote, as raw bytes; with `follow` also what it writes from then on.

    With `Accept: application/x-ndjson`: lines of JSON, each piece as `{"channel": "stdout", "data": BASE64}`. An empty
    line now and then keeps the connection open, and a last line `{"problem": …}` says why the logs can't go on, where
    raw bytes are cut off.
    """
    outputs = services.workspaces.logs(name, follow=follow, tail=tail, since=since)
    if LINES in accept:
        return await lines_response(outputs, services)
    return await output_response(outputs, services)


@router.get("/{name}/stats", response_model=Stats)
async def stats(name: str, services: Offered) -> Response:
    """Return what the workspace uses now: processor, memory, processes."""
    return json_response(await services.workspaces.stats(name))


@router.websocket("/{name}/exec")
async def exec_(websocket: WebSocket, name: str, services: Offered) -> None:
    await serve_process(websocket, services, lambda request: services.workspaces.exec(name, request))


@router.websocket("/{name}/console")
async def console(websocket: WebSocket, name: str, services: Offered) -> None:
    """Open the console, as `exec` does a process; of its request only the terminal counts."""
    await serve_process(
        websocket, services, lambda request: services.workspaces.console(name, build_terminal(request) or Terminal())
    )


@router.websocket("/{name}/ports/{port}")
async def port(websocket: WebSocket, name: str, port: Annotated[int, Path(ge=1, le=65535)], services: Offered) -> None:
    await serve_port(websocket, services, lambda: services.workspaces.dial(name, port))
