"""The one table from error to HTTP status, and every failure as a problem (RFC 9457)."""

import uuid
from collections.abc import Mapping

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from vendetta import errors
from vendetta.coordination.requests import invalid, known_keys
from vendetta.models import Problem

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
    errors.EngineUnavailable: 503,
    errors.OutOfResources: 507,
    errors.ServerUnavailable: 503,
    errors.DeadlineExceeded: 504,
    errors.Cancelled: 409,
}


def status_of(error: errors.VendettaError) -> int:
    """That of the error's class, or of the nearest class above it."""
    return next(STATUS[cls] for cls in type(error).__mro__ if cls in STATUS)


def build_problem(error: errors.VendettaError) -> Problem:
    return Problem.from_error(error, status=status_of(error))


def problem_response(error: errors.VendettaError) -> Response:
    problem = build_problem(error)
    headers = {"WWW-Authenticate": "Bearer"} if problem.status == 401 else None
    return Response(
        msgspec.json.encode(problem), status_code=problem.status or 500, media_type=MEDIA_TYPE, headers=headers
    )


def install(app: FastAPI) -> None:
    @app.exception_handler(errors.VendettaError)
    async def refused(request: Request, exc: errors.VendettaError) -> Response:
        log.info("refused", method=request.method, path=request.url.path, code=exc.code, error=exc.message)
        return problem_response(exc)

    @app.exception_handler(RequestValidationError)
    async def ill_formed(request: Request, exc: RequestValidationError) -> Response:
        # the first part of a location says where in the request it stands: what users know is the rest
        found = [{**error, "loc": error["loc"][1:]} for error in exc.errors()]
        return problem_response(invalid(found, known=_body_keys(request)))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, exc: HTTPException) -> Response:
        kind = errors.NotFound if exc.status_code == 404 else errors.InvalidInput
        error = kind(f"{request.method} {request.url.path}: {exc.detail}", hint="The API is described at /docs.")
        problem = Problem.from_error(error, status=exc.status_code)
        return Response(
            msgspec.json.encode(problem), status_code=exc.status_code, media_type=MEDIA_TYPE, headers=exc.headers
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, exc: Exception) -> Response:
        number = uuid.uuid4().hex[:12]
        log.error("request failed", method=request.method, path=request.url.path, number=number, exc_info=exc)
        return problem_response(
            errors.VendettaError(
                "the server made a mistake", hint=f"Its log has it under {number}: vendetta server logs", number=number
            )
        )


def _body_keys(request: Request) -> frozenset[str]:
    """The keys that the route's body may have, to suggest the nearest from."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body else None
    return known_keys(model) if isinstance(model, type) and issubclass(model, BaseModel) else frozenset()
