"""`/images`: what nodes hold to make workspaces from."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from vendetta.api.answers import (
    API,
    LONGEST_DEADLINE,
    Asked,
    PageOf,
    Wait,
    created,
    json_response,
    nothing_left,
    operation_response,
    parse_pairs,
    result_of,
)
from vendetta.api.bodies import Route, describe_body, pieces_of
from vendetta.api.feeds import LINES, lines_response
from vendetta.api.openapi import PROBLEMS
from vendetta.api.services import Offered
from vendetta.coordination.requests import ImageRequest
from vendetta.models import BuildNews, Image, Operation

router = APIRouter(prefix=f"{API}/images", tags=["images"], responses=PROBLEMS, route_class=Route)

At = Annotated[str, Query(description="the node")]
By = Annotated[str | None, Query(description="the technology; without it the only one of the node")]
Name = Annotated[str, Query(min_length=1)]
Arguments = Annotated[
    list[str], Query(alias="argument", default_factory=list, description="KEY=VALUE, for the builder")
]


@router.get("", response_model=PageOf[Image])
async def list_images(services: Offered, node: At, provider: By = None) -> Response:
    """All of them on one page, of every technology unless one is named."""
    return json_response({"items": await services.images.list(node, provider), "next_cursor": None})


@router.post(
    "",
    response_model=Operation,
    status_code=202,
    responses={201: {"model": Image}},
    openapi_extra=describe_body("application/octet-stream"),
)
async def push(
    request: Request,
    services: Offered,
    ask: Asked,
    node: At,
    name: Name,
    provider: By = None,
    wait: Wait = 0.0,
) -> Response:
    """Gives the node the image in the file that is the body."""
    operation = await services.images.push(
        ask, ImageRequest(node=node, name=name, provider=provider), pieces_of(request)
    )
    return await operation_response(services, operation, wait, created)


@router.post("/pull", response_model=Operation, status_code=202, responses={200: {"model": Image}})
async def pull(request: ImageRequest, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Fetches it to the node from where its name says."""
    operation = await services.images.pull(ask, request)
    return await operation_response(services, operation, wait, result_of)


@router.post(
    "/build",
    response_class=Response,
    responses={200: {"content": {LINES: {}}, "model": BuildNews}},
    openapi_extra=describe_body("application/x-tar"),
)
async def build(
    request: Request,
    services: Offered,
    node: At,
    name: Name,
    arguments: Arguments,
    provider: By = None,
    file: Annotated[str, Query(description="in the folder")] = "Dockerfile",
    platform: str | None = None,
    deadline: Annotated[
        float | None, Query(gt=0, le=LONGEST_DEADLINE, description="seconds after which the build ends")
    ] = None,
) -> Response:
    """Builds an image from a folder, whose tar is the body. A line of JSON for whatever is said; the last one tells how
    it ended. An empty line says that it goes on; who hangs up ends the build."""
    given = parse_pairs(arguments, "argument")
    news = services.images.build(
        node,
        provider,
        name,
        pieces_of(request),
        file=file,
        arguments=given,
        platform=platform,
        deadline_seconds=deadline,
    )
    return await lines_response(news, services)


@router.delete("", response_model=Operation, status_code=202, responses={204: {"description": "Gone."}})
async def remove(
    services: Offered,
    ask: Asked,
    node: At,
    name: Name,
    provider: By = None,
    wait: Wait = 0.0,
) -> Response:
    operation = await services.images.remove(ask, ImageRequest(node=node, name=name, provider=provider))
    return await operation_response(services, operation, wait, nothing_left)
