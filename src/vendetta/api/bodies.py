"""How bodies are read: as bytes where they are files, else as JSON that can be written again.

The standard library's parser takes NaN and lone surrogates, which neither the store nor an answer can hold.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

BYTES = {"schema": {"type": "string", "format": "binary"}}
"""What a body or an answer that isn't JSON is said to be."""


class JsonRequest(Request):
    async def json(self) -> Any:
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise HTTPException(400, f"the body is not JSON ({exc})") from exc


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """A body that is bytes, as it comes."""
    async for piece in request.stream():
        if piece:
            yield piece


def describe_body(media_type: str) -> dict[str, Any]:
    """Such a body, for a route's `openapi_extra`."""
    return {"requestBody": {"content": {media_type: BYTES}, "required": True}}


class Route(APIRoute):
    """For a router's `route_class`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json
