"""For a moment after the server began nobody knows which nodes can be reached: nothing is refused for that."""

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
"""How often it is looked at what nobody tells, such as why a node can't be reached; and for how long."""


async def after_first_connect(store: Store, place: Callable[[], Awaitable[T]]) -> T:
    """Return or raise what `place` does; call it again while a node that `choose` refused connects for the first time.

    Waits PATIENCE_SECONDS at most: a node that doesn't answer may take longer than anybody should wait.
    """
    heard = asyncio.Event()

    def hear(news: dict[str, Any] | None) -> None:
        if news is None or news["kind"].startswith("node."):
            heard.set()

    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    deafen = store.news.listen(EVENTS, hear)
    try:
        while True:
            heard.clear()
            try:
                return await place()
            except OutOfResources as exc:
                refused = {name for name, why in exc.details.get("nodes", {}).items() if why == "connecting"}
                if clock() >= deadline or not any(
                    node.name in refused and may_be_here(node) for node in await store.nodes.all()
                ):
                    raise
            await pause(LOOK_SECONDS, heard)
    finally:
        deafen()


def may_be_here(node: Node) -> bool:
    """Whether the node is connected by now, or is tried for the first time: once that has failed there is a reason."""
    return node.status == "connected" or (node.status == "connecting" and node.reason is None)
