"""For a moment after the server began nobody knows which nodes can be reached: nothing is refused for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from vendetta.errors import OutOfResources
from vendetta.models import Node
from vendetta.store import Store

T = TypeVar("T")

LOOK_SECONDS, LOOKS = 0.2, 50


async def once_tried(store: Store, place: Callable[[], Awaitable[T]]) -> T:
    """What `place` returns or raises; again while a node that `choose` refused is only being tried for the first time.

    For a while: one that doesn't answer may take longer than anybody should wait.
    """
    for _ in range(LOOKS):
        try:
            return await place()
        except OutOfResources as exc:
            refused = {name for name, why in exc.details.get("nodes", {}).items() if why == "connecting"}
            if not any(node.name in refused and may_be_here(node) for node in await store.nodes.all()):
                raise
        await asyncio.sleep(LOOK_SECONDS)
    return await place()


def may_be_here(node: Node) -> bool:
    """It has been reached since, or is being tried for the first time: where that failed it would be said why."""
    return node.status == "connected" or (node.status == "connecting" and node.reason is None)
