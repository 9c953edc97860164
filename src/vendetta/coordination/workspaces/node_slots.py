"""How much is changed on one node at a time, whoever asks for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from vendetta.models import Progress

AT_ONCE = 8
"""Changes on one node: more of them together take an engine and its disk longer than in turns."""


class NodeSlots:
    """Slots of each node: one for each change that its engine makes at once; the rest wait, in the order they came in.

    Nodes don't wait for each other. A caller that holds a slot must not ask for a second one.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._nodes: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def on(self, node: str, tell: Callable[[Progress], None]) -> AsyncIterator[None]:
        """Hold a slot of the node, waiting for one. `tell` is called with a message where none is free yet."""
        places = self._nodes.get(node)
        if places is None:
            places = self._nodes[node] = asyncio.Semaphore(self._at_once)
        if places.locked():
            tell(Progress(message=f"waiting for its turn on {node}"))
        async with places:
            yield
