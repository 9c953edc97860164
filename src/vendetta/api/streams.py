"""Terminals, processes and ports over WebSockets: bytes both ways, with back-pressure, ended cleanly from either side.

From the client: binary frames are input; text frames are JSON, `{"eof": true}`, `{"resize": {"columns", "rows"}}` or
`{"signal": "INT"}`. To the client: binary frames (of a process: one byte for the stream, 1 or 2, then the data), and
text frames with `{"open": true}`, `{"exit_status": N}` or `{"problem": …}`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from fastapi import WebSocket, WebSocketDisconnect

from vendetta.coordination.requests import ExecRequest, validated
from vendetta.errors import InvalidInput, ServerUnavailable, VendettaError
from vendetta.transport import Process, Stream

from .problems import build_problem
from .services import Services

CHANNELS = {"stdout": b"\x01", "stderr": b"\x02"}


async def serve_process(
    websocket: WebSocket, services: Services, run: Callable[[ExecRequest], AbstractAsyncContextManager[Process]]
) -> None:
    """The first message is the request; then the process's streams, until it ends or the caller is gone."""

    async def work() -> None:
        request = validated(ExecRequest, parse_text(await websocket.receive_text()))
        async with run(request) as process:
            feeding = asyncio.create_task(feed_process(websocket, process))
            telling = asyncio.create_task(tell_process(websocket, process))
            await first_to_end(telling, feeding)

    await serve(websocket, services, work)


async def serve_port(
    websocket: WebSocket, services: Services, dial: Callable[[], AbstractAsyncContextManager[Stream]]
) -> None:
    async def work() -> None:
        async with dial() as stream:
            await websocket.send_json({"open": True})
            feeding = asyncio.create_task(feed_stream(websocket, stream))
            telling = asyncio.create_task(tell_stream(websocket, stream))
            # each direction ends by itself: a half-closed connection is still one
            await first_to_end(asyncio.create_task(both(feeding, telling)))

    await serve(websocket, services, work)


async def serve(websocket: WebSocket, services: Services, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work` on an accepted WebSocket; what it raises is the last thing said."""
    await websocket.accept()
    stopping = asyncio.create_task(services.stopping.wait())
    working = asyncio.ensure_future(work())
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ServerUnavailable("the server is stopping", hint="What runs in the workspace goes on.")
        working.result()
        await websocket.close()
    except WebSocketDisconnect:
        pass
    except VendettaError as exc:
        await websocket.send_text(msgspec.json.encode({"problem": build_problem(exc)}).decode())
        await websocket.close()
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)


async def feed_process(websocket: WebSocket, process: Process) -> None:
    """Until the caller is gone. What a process that ended doesn't take is dropped, as a pipe's end does."""
    while True:
        message = await receive(websocket)
        if isinstance(message, bytes):
            await process.write(message)
            continue
        match message:
            case {"eof": True}:
                await process.write_eof()
            case {"resize": {"columns": int(columns), "rows": int(rows)}}:
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
    while True:
        message = await receive(websocket)
        if not isinstance(message, bytes):
            await stream.write_eof()
            return
        await stream.write(message)


async def tell_stream(websocket: WebSocket, stream: Stream) -> None:
    while data := await stream.read():
        await websocket.send_bytes(data)
    await websocket.send_json({"eof": True})


async def both(*tasks: asyncio.Task[None]) -> None:
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def first_to_end(main: asyncio.Task[None], *others: asyncio.Task[None]) -> None:
    """Waits for `main`, or for another to fail; the rest is cancelled."""
    tasks = {main, *others}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        await main
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def receive(websocket: WebSocket) -> bytes | dict[str, Any]:
    """Raises `WebSocketDisconnect` once the caller is gone."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data = message.get("bytes")
    return data if data is not None else parse_text(message.get("text") or "")


def parse_text(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise InvalidInput("a text message must be a JSON object") from exc
