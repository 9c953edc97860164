"""Wait after the server's start until it is known which nodes can be reached, before a placement is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from vendetta.coordination.operations.link_waiters import pause
from vendetta.errors import OutOfResources
from vendetta.models import Node
from vendetta.store import Store
from vendetta.store.events import TOPIC as EVENTS

T = TypeVar("T")

LOOK_SECONDS, PATIENCE_SECONDS = 1.0, 10.0
"""How often to try again without an event, as none says why a node can't be reached; and for how long."""


async def after_first_connect(store: Store, place: Callable[[], Awaitable[T]]) -> T:
    """Return or raise what `place` does; call it again while a node that `choose` refused connects for the first time.

    Waits PATIENCE_SECONDS at most: a node that doesn't answer may take much longer.
    """
    changed = asyncio.Event()

    def on_event(news: dict[str, Any] | None) -> None:
        if news is None or news["kind"].startswith("node."):
            changed.set()

    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    unsubscribe = store.news.listen(EVENTS, on_event)
    try:
        while True:
            changed.clear()
            try:
                return await place()
            except OutOfResources as exc:
                refused = {name for name, why in exc.details.get("nodes", {}).items() if why == "connecting"}
                if clock() >= deadline or not any(
                    node.name in refused and may_be_here(node) for node in await store.nodes.all()
                ):
                    raise
            await pause(LOOK_SECONDS, changed)
    finally:
        unsubscribe()


def may_be_here(node: Node) -> bool:
    """Return whether the node is connected, or its first try goes on: once that has failed there is a reason."""
    return node.status == "connected" or (node.status == "connecting" and node.reason is None)
