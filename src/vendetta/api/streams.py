"""Terminals, processes and ports over WebSockets: bytes both ways, with back-pressure, ended cleanly from either side.

From the client: binary frames are input; text frames are JSON, `{"eof": true}`, `{"resize": {"columns", "rows"}}` or
`{"signal": "INT"}`. To the client: binary frames (of a process: one byte for the stream, 1 or 2, then the data), and
text frames with `{"open": true}`, `{"exit_status": N}` or `{"problem": …}`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from vendetta.coordination.requests import ExecRequest, validated
from vendetta.errors import InvalidInput, LinkError, ServerUnavailable, VendettaError
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Process, Stream

from .peer import gone
from .problems import as_ours, build_problem
from .services import Services

LARGEST_SCREEN = 10000
PIECE_BYTES = 256 * 1024
"""Of a port: small pieces cost more to pass on than to read."""
RUN_AGAIN = (
    "Run it again once a server answers, which may be in a moment. What was started may go on: look there first."
)
CONNECT_AGAIN = "Connect again: the next server that answers leads there."
CHANNELS = {"stdout": b"\x01", "stderr": b"\x02"}


async def serve_process(
    websocket: WebSocket, services: Services, run: Callable[[ExecRequest], AbstractAsyncContextManager[Process]]
) -> None:
    """Serve a process: the first message is the request; then come its streams, until it ends or the caller is gone."""

    async def work() -> None:
        request = validated(ExecRequest, await receive_object(websocket))
        async with run(request) as process:
            feeding = asyncio.create_task(feed_process(websocket, process))
            telling = asyncio.create_task(tell_process(websocket, process))
            await first_to_end(telling, feeding)

    await serve(websocket, services, work, then=RUN_AGAIN)


async def serve_port(
    websocket: WebSocket, services: Services, dial: Callable[[], AbstractAsyncContextManager[Stream]]
) -> None:
    async def work() -> None:
        async with dial() as stream:
            await websocket.send_json({"open": True})
            feeding = asyncio.create_task(feed_stream(websocket, stream))
            telling = asyncio.create_task(tell_stream(websocket, stream))
            # each direction ends by itself: a half-closed connection is still one
            await all_to_end(feeding, telling)

    await serve(websocket, services, work, then=CONNECT_AGAIN)


async def serve(
    websocket: WebSocket, services: Services, work: Callable[[], Coroutine[Any, Any, None]], *, then: str
) -> None:
    """Run `work` on an accepted WebSocket until it ends, the caller is gone or the server stops.

    What it raises is the last thing said. `then` is what the caller can do where the server stops.
    """
    await websocket.accept()
    working = asyncio.create_task(work())
    ends = [asyncio.create_task(end.wait()) for end in (gone(websocket), services.stopping)]
    try:
        await asyncio.wait([working, *ends], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        elif services.stopping.is_set():
            raise ServerUnavailable("the server is stopping", hint=then)
        await websocket.close()
    except WebSocketDisconnect:
        return
    except Exception as exc:
        await end_with(websocket, as_ours(exc, websocket))
    finally:
        await cancel_and_wait(working, *ends)


async def end_with(websocket: WebSocket, error: VendettaError) -> None:
    # whoever is gone meanwhile isn't told
    with suppress(WebSocketDisconnect):
        await websocket.send_text(msgspec.json.encode({"problem": build_problem(error)}).decode())
        await websocket.close()


async def feed_process(websocket: WebSocket, process: Process) -> None:
    """Pass the caller's messages to the process until the caller is gone."""
    while True:
        message = await receive(websocket)
        if isinstance(message, bytes):
            with dropping():
                await process.write(message)
            continue
        match message:
            case {"eof": True}:
                with dropping():
                    await process.write_eof()
            case {"resize": {"columns": int(columns), "rows": int(rows)}} if (
                min(columns, rows) > 0 and max(columns, rows) <= LARGEST_SCREEN
            ):
                await process.resize(columns, rows)
            case {"signal": str(name)}:
                await process.signal(name)
            case _:
                raise InvalidInput(f"not a message for a process: {str(message)[:80]}")


async def tell_process(websocket: WebSocket, process: Process) -> None:
    while output := await process.read():
        await websocket.send_bytes(CHANNELS[output.channel] + output.data)
    await websocket.send_json({"exit_status": await process.wait()})


async def feed_stream(websocket: WebSocket, stream: Stream) -> None:
    """Pass the caller's bytes to the stream until the caller has sent its end."""
    while isinstance(message := await receive(websocket), bytes):
        with dropping():
            await stream.write(message)
    if message != {"eof": True}:
        raise InvalidInput(f"not a message for a port: {str(message)[:80]}")
    with dropping():
        await stream.write_eof()


async def tell_stream(websocket: WebSocket, stream: Stream) -> None:
    while data := await stream.read(PIECE_BYTES):
        await websocket.send_bytes(data)
    await websocket.send_json({"eof": True})


@contextmanager
def dropping() -> Iterator[None]:
    """Drop what the other side takes no more: reading on tells how it ended, and what it said before."""
    with suppress(LinkError, ConnectionError):
        yield


async def all_to_end(*tasks: asyncio.Task[None]) -> None:
    """Wait for all to end, or one to fail; cancel the rest."""
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_and_wait(*tasks)


async def first_to_end(main: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Wait for `main` to end, or another to fail; cancel the rest."""
    tasks = {main, *others}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        await main
    finally:
        await cancel_and_wait(*tasks)


async def receive(websocket: WebSocket) -> bytes | dict[str, Any]:
    """Return the next message. Raises `WebSocketDisconnect` once the caller is gone."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data = message.get("bytes")
    return data if data is not None else parse_text(message.get("text") or "")


async def receive_object(websocket: WebSocket) -> dict[str, Any]:
    message = await receive(websocket)
    if isinstance(message, bytes):
        raise InvalidInput("the first message must be a JSON object: what to run")
    return message


def parse_text(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise InvalidInput("a text message must be a JSON object") from exc
