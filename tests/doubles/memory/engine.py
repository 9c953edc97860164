"""What one node holds, in memory: images, instances, and those who watch them. Tests arrange it as they need it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from vendetta.models import ProviderStatus
from vendetta.providers.powers import InstanceEvent

from .instance import MemoryInstance

OnCall = Callable[[str, str], Awaitable[None]]
"""Called with the verb and the instance's name before a change is made: may wait, or raise what a test needs."""


async def _at_once(verb: str, name: str) -> None:
    """The `OnCall` that changes nothing."""


@dataclass(slots=True, kw_only=True)
class MemoryEngine:
    """`images` maps what is on the node to its command, `registry` what can be fetched; None: no command."""

    status: ProviderStatus = field(default_factory=lambda: ProviderStatus(state="healthy", version="memory 1"))
    images: dict[str, Sequence[str] | None] = field(default_factory=lambda: {"busybox": ("true",)})
    registry: dict[str, Sequence[str] | None] = field(default_factory=dict)
    instances: dict[str, MemoryInstance] = field(default_factory=dict)
    on_call: OnCall = _at_once
    ids: "count[int]" = field(default_factory=lambda: count(1))
    watchers: set[asyncio.Queue[tuple[str, InstanceEvent]]] = field(default_factory=set)

    def tell(self, owner: str, name: str, action: str) -> None:
        """An event for everyone who watches the instances of `owner`."""
        for queue in self.watchers:
            queue.put_nowait((owner, InstanceEvent(name, action)))

    async def close(self) -> None:
        """Ends everything that runs."""
        for instance in self.instances.values():
            await instance.stop()
        self.instances.clear()
