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
By = Annotated[str | None, Query(description="the provider; without it the only one of the node")]
Name = Annotated[str, Query(min_length=1, description="the image")]
Arguments = Annotated[
    list[str], Query(alias="argument", default_factory=list, description="KEY=VALUE, for the builder")
]


@router.get("", response_model=PageOf[Image])
async def list_images(services: Offered, node: At, provider: By = None) -> Response:
    """List the images on the node, all on one page: of the provider, or of every one that runs there."""
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
    """Put an image on the node from a file, which is the body."""
    operation = await services.images.push(
        ask, ImageRequest(node=node, name=name, provider=provider), pieces_of(request)
    )
    return await operation_response(services, operation, wait, created)


@router.post("/pull", response_model=Operation, status_code=202, responses={200: {"model": Image}})
async def pull(request: ImageRequest, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
    """Pull an image to the node from the registry or address in its name."""
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
    file: Annotated[str, Query(description="path in the folder")] = "Dockerfile",
    platform: Annotated[str | None, Query(description="OS/ARCH; without it the node's")] = None,
    deadline: Annotated[
        float | None, Query(gt=0, le=LONGEST_DEADLINE, description="seconds after which the build ends")
    ] = None,
) -> Response:
    """Build an image on the node from a folder, whose tar is the body; answer with lines of JSON.

    Each line has a piece of the builder's output; the last one has the image or the problem. An empty line now and then
    keeps the connection open. The build is cancelled where the caller hangs up.
    """
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
    """Remove an image from the node."""
    operation = await services.images.remove(ask, ImageRequest(node=node, name=name, provider=provider))
    return await operation_response(services, operation, wait, nothing_left)
