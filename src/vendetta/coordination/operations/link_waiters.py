"""Who waits for a node's link, and what wakes them before their time."""

import asyncio
from contextlib import suppress
from typing import Any

BACK = "node.connected"


class LinkWaiters:
    """Wake those who wait for a node's link. Call `back` whenever a link is opened, whether somebody waits or not."""

    def __init__(self) -> None:
        self.over = False
        """The server stops: nobody waits any more."""
        self._opened: dict[str, asyncio.Event] = {}

    def back(self, node: str) -> None:
        """Wake everyone who waits for this node."""
        if opened := self._opened.pop(node, None):
            opened.set()

    def on_event(self, news: dict[str, Any] | None) -> None:
        """Wake everyone who waits for the node if the event says that another replica opened its link.

        `news` is the payload of an event in the store's news; None, where some were missed, wakes nobody.
        """
        if news and news.get("kind") == BACK:
            self.back(news["subject"])

    def expect(self, node: str | None) -> asyncio.Event:
        """Return what is set once the node's link is opened after this call; never where no node is named."""
        return self._opened.setdefault(node, asyncio.Event()) if node is not None else asyncio.Event()


async def pause(seconds: float, expected: asyncio.Event) -> None:
    """Wait for `seconds`, or until `expected` is set if that comes first."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await expected.wait()
