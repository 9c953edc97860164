"""The one table from error to HTTP status, and every failure as a problem (RFC 9457)."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Response
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from vendetta import errors
from vendetta.coordination.requests import invalid
from vendetta.models import Problem

from .unknown_keys import known_beside

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[type[errors.VendettaError], int] = {
    errors.VendettaError: 500,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.InvalidInput: 400,
    errors.Unsupported: 501,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.LinkError: 502,
    errors.LinkTimeout: 504,
    errors.CommandFailed: 502,
    errors.ProviderError: 502,
    errors.PathNotFound: 404,
    errors.EngineUnavailable: 503,
    errors.OutOfResources: 507,
    errors.ServerUnavailable: 503,
    errors.EventsMissed: 410,
    errors.DeadlineExceeded: 504,
    errors.OutcomeUnknown: 502,
    errors.Cancelled: 409,
}


def status_of(error: errors.VendettaError) -> int:
    """Return the HTTP status of the error's class, or of the nearest class above it."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def build_problem(error: errors.VendettaError) -> Problem:
    return Problem.from_error(error, status=status_of(error))


def refuse(connection: HTTPConnection, error: errors.VendettaError) -> Response:
    """Answer a request, or a WebSocket that isn't accepted yet, with the error as a problem. Log the cause."""
    cause = repr(error.__cause__) if error.__cause__ else None
    log.info("refused", **describe(connection), code=error.code, error=error.message, cause=cause)
    return build_response(build_problem(error))


def as_ours(error: Exception, connection: HTTPConnection) -> errors.VendettaError:
    """Return the error if it is a `VendettaError`, else one with an id alone, under which the log has the exception."""
    if isinstance(error, errors.VendettaError):
        return error
    request_id = uuid.uuid4().hex[:12]
    log.error("request failed", **describe(connection), request_id=request_id, exc_info=error)
    return errors.VendettaError(
        "the server made a mistake",
        hint=f"Its log has it under {request_id}: vendetta server logs",
        request_id=request_id,
    )


def describe(connection: HTTPConnection) -> dict[str, str]:
    return {"method": connection.scope.get("method", "WEBSOCKET"), "path": connection.scope["path"]}


def build_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    if problem.status == 401:
        headers = {"WWW-Authenticate": "Bearer"}
    return Response(
        msgspec.json.encode(problem), status_code=problem.status or 500, media_type=MEDIA_TYPE, headers=headers
    )


def build_invalid(connection: HTTPConnection, found: Sequence[Any]) -> errors.InvalidInput:
    """Build one error from pydantic's list of them. The first part of a location (`body`, `query`) is left out."""
    if any(tuple(error["loc"]) == ("body",) for error in found):
        return errors.InvalidInput("the body must be a JSON object", hint="Send it as Content-Type: application/json.")
    known = next((known_beside(connection, error) for error in found if error["type"] == "extra_forbidden"), None)
    located = [{**error, "loc": error["loc"][1:]} for error in found]
    return invalid(located, known=known or frozenset())


def install(app: FastAPI) -> None:
    @app.exception_handler(errors.VendettaError)
    async def refused(connection: HTTPConnection, exc: errors.VendettaError) -> Response:
        return refuse(connection, exc)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(WebSocketRequestValidationError)
    async def ill_formed(
        connection: HTTPConnection, exc: RequestValidationError | WebSocketRequestValidationError
    ) -> Response:
        return refuse(connection, build_invalid(connection, exc.errors()))

    @app.exception_handler(HTTPException)
    async def no_route(connection: HTTPConnection, exc: HTTPException) -> Response:
        where = describe(connection)
        kind = errors.NotFound if exc.status_code == 404 else errors.InvalidInput
        error = kind(f"{where['method']} {where['path']}: {exc.detail}", hint="The API is described at /docs.")
        return build_response(Problem.from_error(error, status=exc.status_code), exc.headers)
