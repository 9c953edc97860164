"""Operations that a step of another one asks for, and waits for."""

import asyncio
from collections.abc import Awaitable, Callable

from vendetta.errors import ServerUnavailable
from vendetta.models import Operation

from .service import Operations

AGAIN_SECONDS = 1.0


async def wait_for_child(operations: Operations, submit: Callable[[], Awaitable[Operation]]) -> Operation:
    """Return the operation that `submit` asks for once it has ended.

    `submit` asks with a key, so that asked for again it is the same. A server that stops, or is without its database,
    is nothing that came of it: the step is interrupted with the server, or goes on when the database is back.
    """
    while True:
        try:
            return await operations.wait((await submit()).id, None)
        except ServerUnavailable:
            await asyncio.sleep(AGAIN_SECONDS)
