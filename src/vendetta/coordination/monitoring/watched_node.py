"""A node that is watched, and how its watch waits."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from vendetta.store import NodeClaim

from .silence import Silence


@dataclass(slots=True, eq=False)
class Watched:
    """`kinds` are the technologies of the node's workspaces; `nudge` is set when it's worth a look."""

    claim: NodeClaim
    silence: Silence
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    kinds: set[str] = field(default_factory=set)
    task: "asyncio.Task[None] | None" = None

    @property
    def node(self) -> str:
        return self.claim.node

    @property
    def goes_on(self) -> bool:
        return self.task is not None and not self.task.done()

    def expect(self, kind: str) -> None:
        """A workspace of that technology is about to come: its engine's events are worth following from now on."""
        if kind not in self.kinds:
            self.kinds.add(kind)
            self.nudge.set()

    async def nudged(self, seconds: float | None) -> None:
        """Returns when it is worth a look, or the time is over."""
        # not `wait_for`: before Python 3.12 it may swallow that it is cancelled, and the watch would never end
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.nudge.wait()
        self.nudge.clear()


def clock() -> float:
    """Of the event loop, which nobody sets."""
    return asyncio.get_running_loop().time()
