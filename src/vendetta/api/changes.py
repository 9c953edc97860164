"""The routes of changes: a POST to one workspace or node, made from the change's line in the table."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response

from vendetta.coordination.changes import CHANGES
from vendetta.coordination.requests import NoConfig, Request
from vendetta.models import Operation

from .answers import Asked, Wait, operation_response, result_of
from .services import Offered

Endpoint = Callable[..., Awaitable[Response]]


def add_change(router: APIRouter, kind: str, *, name: str | None = None) -> None:
    """Add `POST /{name}/VERB` for a change: 202 and the operation, or with `wait` its result.

    `name` is what the operation id begins with; the verb without it.
    """
    change, verb = CHANGES[kind], kind.partition(".")[2]
    done: dict[int | str, dict[str, Any]] = {200: {"model": change.result, "description": "Succeeded within `wait`."}}
    router.add_api_route(
        f"/{{name}}/{verb}",
        build_endpoint(kind, change.request),
        methods=["POST"],
        name=name or verb,
        description=change.description,
        response_model=Operation,
        status_code=202,
        responses=done,
    )


def build_endpoint(kind: str, request: type[Request]) -> Endpoint:
    """Return the endpoint of a change. Its body may be left out where the request needs no field."""

    async def submit(name: str, body: Request, services: Offered, ask: Asked, wait: Wait) -> Response:
        operation = await services.changes.submit(ask, kind, name, body)
        return await operation_response(services, operation, wait, result_of)

    async def without_body(name: str, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:
        return await submit(name, NoConfig(), services, ask, wait)

    async def with_body(
        name: str,
        services: Offered,
        ask: Asked,
        body: request | None = None,  # type: ignore[valid-type]
        wait: Wait = 0.0,
    ) -> Response:
        return await submit(name, body or request(), services, ask, wait)

    async def with_needed_body(name: str, body: request, services: Offered, ask: Asked, wait: Wait = 0.0) -> Response:  # type: ignore[valid-type]
        return await submit(name, body, services, ask, wait)

    if request is NoConfig:
        return without_body
    needed = any(field.is_required() for field in request.model_fields.values())
    return with_needed_body if needed else with_body
