"""One-way streams: server-sent events, lines of JSON and raw output, ended when the caller goes or the server stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar

import msgspec
import structlog
from fastapi import Response
from fastapi.responses import StreamingResponse

from vendetta.errors import ServerUnavailable, VendettaError
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Output

from .problems import build_problem
from .services import Services

T = TypeVar("T")

log = structlog.get_logger(__name__)
encode_lines = msgspec.json.Encoder().encode_lines

KEEP_ALIVE_SECONDS = 15.0
EVENTS_AT_ONCE = 64
LINES = "application/x-ndjson"
AGAIN = "Ask again: it may be about to start anew, and any other server on its database answers as it does."
RETRY = b"retry: 1000\n\n"
"""After how many milliseconds a browser connects again."""


def event_response(source: AsyncIterator[T], services: Services, number: Callable[[T], int] | None = None) -> Response:
    """Answer with server-sent events, each of them a JSON value; a comment says why the stream ends early.

    `number` returns the id of an event, from which a client can resume; None: events have no ids.
    """

    def build_event(item: T) -> bytes:
        id_line = b"id: %d\n" % number(item) if number else b""
        return id_line + b"data: " + msgspec.json.encode(item) + b"\n\n"

    async def lines() -> AsyncIterator[bytes]:
        yield RETRY
        async with aclosing(until_stopping(source, services, at_once=EVENTS_AT_ONCE)) as batches:
            try:
                async for items in batches:
                    yield b"".join(map(build_event, items)) or b": still here\n\n"
            except VendettaError as exc:
                log.info("stream ended", code=exc.code, error=exc.message)
                yield b": %s\n\n" % " ".join(exc.message.split()).encode()

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def output_response(
    source: AsyncIterator[Output], services: Services, *, media_type: str = "application/octet-stream"
) -> Response:
    """Answer with the bytes as they come.

    Where the source fails or the server stops, the answer is cut off, without the end of a chunked body. The first
    piece is awaited before the answer begins, so that an error until then is a problem with a status.
    """
    batches = until_stopping(source, services)
    first: Sequence[Output] = await anext(batches, [])

    async def body() -> AsyncIterator[bytes]:
        async with aclosing(batches):
            yield join(first)
            async for outputs in batches:
                yield join(outputs)

    return StreamingResponse(body(), media_type=media_type)


def join(outputs: Sequence[Output]) -> bytes:
    return b"".join([output.data for output in outputs])


async def lines_response(source: AsyncIterator[T], services: Services) -> Response:
    """Answer with a line of JSON for each item, and an empty line every KEEP_ALIVE_SECONDS.

    Where the source fails or the server stops, the last line is `{"problem": …}`. The first item is awaited before the
    answer begins, so that an error until then is a problem with a status.
    """
    batches = until_stopping(source, services)
    first: Sequence[T] = await anext(batches, [])

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(batches):
            yield encode_lines(first)
            try:
                async for items in batches:
                    yield encode_lines(items) or b"\n"
            except VendettaError as exc:
                log.info("stream ended", code=exc.code, error=exc.message)
                yield msgspec.json.encode({"problem": build_problem(exc)}) + b"\n"

    return StreamingResponse(lines(), media_type=LINES)


async def until_stopping(
    source: AsyncIterator[T], services: Services, *, at_once: int = 1
) -> AsyncGenerator[Sequence[T], None]:
    """Yield the items of `source` in batches of at most `at_once`; an empty one after KEEP_ALIVE_SECONDS without items.

    At most `at_once` items are read ahead. Raises `ServerUnavailable` when the server stops.
    """
    found: list[T] = []
    news, room = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async for item in source:
            found.append(item)
            news.set()
            if len(found) == at_once:
                room.clear()
                await room.wait()

    async def beat() -> None:
        while not services.stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    await services.stopping.wait()
            news.set()

    # two tasks a stream: one for each item, raced with the time and the end, costs more than to send it
    reading, beating = asyncio.create_task(read()), asyncio.create_task(beat())
    reading.add_done_callback(lambda _: news.set())
    try:
        while True:
            await news.wait()
            if services.stopping.is_set():
                raise ServerUnavailable("the server is stopping", hint=AGAIN)
            if not reading.done():
                news.clear()
            elif not found:
                reading.result()
                return
            items = tuple(found)
            found.clear()
            room.set()
            yield items
    finally:
        await cancel_and_wait(reading, beating)
        if isinstance(source, AsyncGenerator):
            # it may hold a node's connection, which must not wait for the garbage collector
            await source.aclose()
