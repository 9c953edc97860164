"""One-way streams: server-sent events, lines of JSON and raw output, ended when the caller goes or the server stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
import structlog
from fastapi import Response
from fastapi.responses import StreamingResponse

from vendetta.errors import ServerUnavailable, VendettaError
from vendetta.transport import Output

from .problems import build_problem
from .services import Services

T = TypeVar("T")

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 15.0
LINES = "application/x-ndjson"
AGAIN = "Ask again: it may be about to start anew, and any other server on its database answers as it does."
RETRY = b"retry: 1000\n\n"
"""When a browser connects again, in milliseconds."""


def event_response(source: AsyncIterator[T], services: Services, number: Callable[[T], int] | None = None) -> Response:
    """Server-sent events, each a JSON value; `number` makes the stream resumable. A comment says why it ends early."""

    async def lines() -> AsyncIterator[bytes]:
        yield RETRY
        async with aclosing(until_stopping(source, services)) as items:
            try:
                async for item in items:
                    if item is None:
                        yield b": still here\n\n"
                        continue
                    id_line = b"id: %d\n" % number(item) if number else b""
                    yield id_line + b"data: " + msgspec.json.encode(item) + b"\n\n"
            except VendettaError as exc:
                log.info("stream ended", code=exc.code, error=exc.message)
                yield b": %s\n\n" % " ".join(exc.message.split()).encode()

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def output_response(
    source: AsyncIterator[Output], services: Services, *, media_type: str = "application/octet-stream"
) -> Response:
    """The bytes as they come. Cut off, without the end of a chunked body, where the source fails or the server stops.

    The first piece is awaited before the answer begins, so that what goes wrong then is a problem with a status.
    """
    pieces = until_stopping(source, services)
    first = await anext(pieces, None)

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            if first is not None:
                yield first.data
            async for output in pieces:
                if output is not None:
                    yield output.data

    return StreamingResponse(body(), media_type=media_type)


async def lines_response(source: AsyncIterator[T], services: Services) -> Response:
    """A line of JSON for each; an empty one says that it goes on, and `{"problem": …}` is the last where it breaks off.

    The first is awaited before the answer begins, so that what goes wrong then is a problem with a status.
    """
    items = until_stopping(source, services)
    first = await anext(items, None)

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(items):
            if first is not None:
                yield msgspec.json.encode(first) + b"\n"
            try:
                async for item in items:
                    yield (msgspec.json.encode(item) if item is not None else b"") + b"\n"
            except VendettaError as exc:
                log.info("stream ended", code=exc.code, error=exc.message)
                yield msgspec.json.encode({"problem": build_problem(exc)}) + b"\n"

    return StreamingResponse(lines(), media_type=LINES)


async def until_stopping(source: AsyncIterator[T], services: Services) -> AsyncGenerator[T | None, None]:
    """What `source` gives, and None whenever it was silent for a while. `ServerUnavailable` when the server stops."""
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
        raise ServerUnavailable("the server is stopping", hint=AGAIN)
    finally:
        tasks = [task for task in (stopping, pending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(source, AsyncGenerator):
            # it may hold a node's connection, which must not wait for the garbage collector
            await source.aclose()


async def _next(source: AsyncIterator[T]) -> T:
    """A coroutine, which a task wants, where `anext` promises only something to await."""
    return await anext(source)
