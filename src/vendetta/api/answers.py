"""How routes answer: JSON, pages, operations that are waited for or not. And the parameters that many share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Depends, Header, Query, Response
from pydantic import BaseModel, BeforeValidator, WithJsonSchema

from vendetta.coordination.ask import Ask
from vendetta.errors import InvalidInput
from vendetta.models import Operation
from vendetta.store import Page
from vendetta.tasks import cancel_and_wait

from .identity import Called
from .services import Services

T = TypeVar("T")

API = "/api/v1"
LONGEST_WAIT = 3600.0
LONGEST_DEADLINE = 30 * 86400.0

Limit = Annotated[int, Query(ge=1, le=1000, description="how many items at most")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]
Labels = Annotated[
    list[str], Query(alias="label", default_factory=list, description="KEY=VALUE; may be repeated, all must match")
]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=200, description="a repeated request with it changes nothing again"),
]


def parse_wait(value: object) -> float:
    """Return the seconds to wait of `true`, `false` or a number; 0: don't wait. Raises `ValueError`."""
    if value in ("true", "false"):
        return LONGEST_WAIT if value == "true" else 0.0
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        raise ValueError(f"must be seconds (at most {LONGEST_WAIT:g}), true or false")
    return seconds


Wait = Annotated[
    float,
    BeforeValidator(parse_wait),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": LONGEST_WAIT}, {"type": "boolean"}]}),
    Query(description="seconds to wait for the end, true (an hour) or false; without it 202 and the operation at once"),
]


class PageOf(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


Deadline = Annotated[
    float | None,
    Query(
        alias="deadline",
        gt=0,
        le=LONGEST_DEADLINE,
        description="seconds after which the operation fails; without it an hour, a day for move, drain and undrain",
    ),
]


async def ask(caller: Called, key: Key = None, deadline: Deadline = None) -> Ask:
    return Ask(caller.actor, key, deadline)


async def ask_without_deadline(caller: Called, key: Key = None) -> Ask:
    return Ask(caller.actor, key)


Asked = Annotated[Ask, Depends(ask)]
AskedOnce = Annotated[Ask, Depends(ask_without_deadline)]
"""As `Asked`, for routes whose body has the deadline."""


def json_response(value: object, status_code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status_code, media_type="application/json")


def page_response(page: Page[Any]) -> Response:
    return json_response({"items": page.items, "next_cursor": page.next_cursor})


def parse_pairs(pairs: list[str], parameter: str) -> dict[str, str]:
    """Return the values of `KEY=VALUE` by key. Raises `InvalidInput`, which names the parameter."""
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise InvalidInput(f"{parameter}: {pair!r} is not KEY=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


async def wait_for(services: Services, id: str, seconds: float) -> Operation:
    """Return the operation once it has ended, or as it is after `seconds` or when the server stops."""
    waiting = asyncio.create_task(services.operations.wait(id, seconds))
    stopping = asyncio.create_task(services.stopping.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else await services.operations.get(id)
    finally:
        await cancel_and_wait(waiting, stopping)


async def operation_response(
    services: Services, operation: Operation, wait: float, done: Callable[[Operation], Awaitable[Response]]
) -> Response:
    """Answer with 202 and the operation; or, if it succeeds within `wait` seconds, with what `done` builds of it.

    Raises the operation's error if it fails within `wait`.
    """
    if wait:
        operation = await wait_for(services, operation.id, wait)
        if operation.error is not None:
            raise operation.error.to_error()
        if operation.state == "succeeded":
            return await done(operation)
    return json_response(operation, 202)


async def created(operation: Operation) -> Response:
    """Answer with 201 and the object that the operation has made."""
    return json_response(operation.result, 201)


async def result_of(operation: Operation) -> Response:
    """Answer with 200 and the object that the operation has changed."""
    return json_response(operation.result)


async def nothing_left(operation: Operation) -> Response:
    return Response(status_code=204)
