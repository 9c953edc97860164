"""A node that is watched, and how its watch waits."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from vendetta.store import NodeClaim

from .silence import Silence


@dataclass(slots=True, eq=False)
class Watched:
    """A node that is watched.

    `kinds` are the technologies of its workspaces; `nudge` is set when it is worth a look.
    """

    claim: NodeClaim
    silence: Silence
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    kinds: set[str] = field(default_factory=set)
    task: "asyncio.Task[None] | None" = None

    @property
    def node(self) -> str:
        """The node's name."""
        return self.claim.node

    @property
    def goes_on(self) -> bool:
        """Whether its watch has begun and not ended."""
        return self.task is not None and not self.task.done()

    def expect(self, kind: str) -> None:
        """Follow the events of this technology's engine from now on: a workspace of it is about to come."""
        if kind not in self.kinds:
            self.kinds.add(kind)
            self.nudge.set()

    async def nudged(self, seconds: float | None) -> None:
        """Wait until the node is worth a look, at most `seconds` (None: for ever)."""
        # not `wait_for`: before Python 3.12 it may swallow that it is cancelled, and the watch would never end
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.nudge.wait()
        self.nudge.clear()


def clock() -> float:
    """Return the seconds of the event loop's clock, which is never set."""
    return asyncio.get_running_loop().time()
