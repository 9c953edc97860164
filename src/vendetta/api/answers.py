"""How routes answer: pages, operations that are waited for or not, streams of events."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from vendetta.errors import InvalidInput
from vendetta.models import Operation, Problem
from vendetta.store import Page

from .services import Services

T = TypeVar("T")

KEEP_ALIVE_SECONDS = 15.0

Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most")]
Cursor = Annotated[str | None, Query(description="next_cursor of the page before")]
Labels = Annotated[list[str], Query(alias="label", description="KEY=VALUE; may be repeated")]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)]
Wait = Annotated[
    str | None, Query(description="seconds to wait for the end; without it the operation is returned at once")
]

PROBLEMS: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "What went wrong"}}


class PageOf(BaseModel, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


def json_response(value: object, status_code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status_code, media_type="application/json")


def page_response(page: Page[Any]) -> Response:
    return json_response({"items": page.items, "next_cursor": page.next_cursor})


def parse_labels(labels: list[str]) -> dict[str, str]:
    for label in labels:
        if not label.partition("=")[0] or "=" not in label:
            raise InvalidInput(f"label: {label!r} is not KEY=VALUE")
    return dict(label.split("=", 1) for label in labels)


def parse_wait(text: str | None) -> float:
    """Seconds; 0 where nobody waits. Raises `InvalidInput`."""
    if text is None or text == "false":
        return 0.0
    try:
        seconds = 3600.0 if text == "true" else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise InvalidInput(f"wait: {text!r} is neither seconds (at most 3600) nor true or false")
    return seconds


async def operation_response(
    services: Services, operation: Operation, wait: str | None, done: Callable[[Operation], Awaitable[Response]]
) -> Response:
    """202 and the operation; or, if it ends within `wait`, what `done` makes of it, and its problem if it failed."""
    if seconds := parse_wait(wait):
        operation = await services.operations.wait(operation.id, seconds)
        if operation.error is not None:
            raise operation.error.to_error()
        if operation.state == "succeeded":
            return await done(operation)
    return json_response(operation, 202)


async def result_of(operation: Operation) -> Response:
    """The object that the operation has made or changed."""
    return json_response(operation.result)


async def nothing_left(operation: Operation) -> Response:
    return Response(status_code=204)


def event_stream(source: AsyncIterator[T], services: Services, number: Callable[[T], int] | None = None) -> Response:
    """Server-sent events, each a JSON value; `number` makes the stream resumable. Ends when the server stops."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        async with aclosing(until_stopping(source, services)) as items:
            async for item in items:
                if item is None:
                    yield b": still here\n\n"
                    continue
                id_line = b"id: %d\n" % number(item) if number else b""
                yield id_line + b"data: " + msgspec.json.encode(item) + b"\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def until_stopping(source: AsyncIterator[T], services: Services) -> AsyncGenerator[T | None, None]:
    """What `source` gives, and None whenever it was silent for a while."""
    stopping = asyncio.create_task(services.stopping.wait())
    pending: asyncio.Task[T] | None = None
    try:
        while not stopping.done():
            pending = pending or asyncio.create_task(_next(source))
            both: set[asyncio.Task[Any]] = {pending, stopping}
            await asyncio.wait(both, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if pending.done():
                try:
                    item = pending.result()
                except StopAsyncIteration:
                    return
                pending = None
                yield item
            elif not stopping.done():
                yield None
    finally:
        for task in (stopping, pending):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in (stopping, pending) if task is not None), return_exceptions=True)


async def _next(source: AsyncIterator[T]) -> T:
    """A coroutine, which a task wants, where `anext` promises only something to await."""
    return await anext(source)
