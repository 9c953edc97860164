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
"""How OpenAPI describes a body or an answer of bytes."""


class JsonRequest(Request):
    """A request whose body is parsed by msgspec. Raises `HTTPException` (400) where it isn't JSON."""

    async def json(self) -> Any:
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise HTTPException(400, f"the body is not JSON ({exc})") from exc


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the bytes of a body in pieces, as they come."""
    async for piece in request.stream():
        if piece:
            yield piece


def describe_body(media_type: str) -> dict[str, Any]:
    """Build a route's `openapi_extra` for a body of bytes of this media type."""
    return {"requestBody": {"content": {media_type: BYTES}, "required": True}}


class Route(APIRoute):
    """A route that reads bodies as `JsonRequest`: a router's `route_class`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handle_json
