"""Who waits for a node's link, and what wakes them before their time."""

import asyncio
from contextlib import suppress
from typing import Any

BACK = "node.connected"


class LinkWaiters:
    """`back` is to be called whenever a link is opened; nothing is lost where nobody is."""

    def __init__(self) -> None:
        self.over = False
        """The server stops: nobody waits any more."""
        self._opened: dict[str, asyncio.Event] = {}

    def back(self, node: str) -> None:
        """Everyone who waits for this node wakes."""
        if opened := self._opened.pop(node, None):
            opened.set()

    def hear(self, news: dict[str, Any] | None) -> None:
        """Of the store's events: the link of a node that another replica watches is back."""
        if news and news.get("kind") == BACK:
            self.back(news["subject"])

    def expect(self, node: str | None) -> asyncio.Event:
        """Set once the node's link is opened after this call; never where no node is named."""
        return self._opened.setdefault(node, asyncio.Event()) if node is not None else asyncio.Event()


async def pause(seconds: float, expected: asyncio.Event) -> None:
    """Returns after that time; sooner once what is expected has come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await expected.wait()
