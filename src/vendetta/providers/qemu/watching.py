"""What happens to VMs, told as it happens: what we do ourselves, and what each qemu says on a socket of its own."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from vendetta.errors import ConnectionLost, EngineUnavailable, VendettaError
from vendetta.providers.powers import InstanceEvent
from vendetta.transport import Transport

from .argv import WATCHING
from .qmp import open_qmp
from .scripts import Found

_ACTIONS = {
    "SHUTDOWN": "shutdown",
    "STOP": "pause",
    "RESUME": "resume",
    "RESET": "reset",
    "GUEST_PANICKED": "panic",
    "BLOCK_IO_ERROR": "io-error",
}
"""By qemu's event; the others change nothing that is shown."""

News = InstanceEvent | VendettaError


class Watching:
    """Of one provider. Each VM is listened to once, for as long as anybody watches."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._watchers: set[asyncio.Queue[News]] = set()
        self._listening: dict[str, asyncio.Task[None]] = {}

    def tell(self, name: str, action: str) -> None:
        self._spread(InstanceEvent(name, action))

    def started(self, found: Found) -> None:
        """It runs: from now on it is listened to."""
        self._listen(found)
        self.tell(found.record.name, "start")

    async def watch(self, running: Sequence[Found]) -> AsyncGenerator[InstanceEvent, None]:
        """`running` are the VMs that run now. Raises what ends the link."""
        queue: asyncio.Queue[News] = asyncio.Queue()
        self._watchers.add(queue)
        closing = asyncio.create_task(self._await_end(queue))
        try:
            for found in running:
                self._listen(found)
            while True:
                news = await queue.get()
                if isinstance(news, VendettaError):
                    raise news
                yield news
        finally:
            closing.cancel()
            self._watchers.discard(queue)
            if not self._watchers:
                await self.close()

    async def close(self) -> None:
        listening = list(self._listening.values())
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    async def _await_end(self, queue: asyncio.Queue[News]) -> None:
        """Of the link: where nothing runs there is no socket that would tell."""
        await self._transport.wait_closed()
        queue.put_nowait(ConnectionLost(f"watch workspaces on node {self._transport.node}: the connection was lost"))

    def _spread(self, news: News) -> None:
        for queue in self._watchers:
            queue.put_nowait(news)

    def _listen(self, found: Found) -> None:
        vm = found.record.id
        if self._watchers and vm not in self._listening:
            task = self._listening[vm] = asyncio.create_task(self._follow(found))
            task.add_done_callback(lambda _: self._listening.pop(vm, None))

    async def _follow(self, found: Found) -> None:
        name = found.record.name
        try:
            with suppress(EngineUnavailable):  # it has ended already
                async with open_qmp(self._transport, f"{found.folder}/{WATCHING}", f"watch {name}") as qmp:
                    while event := await qmp.next_event():
                        if action := _ACTIONS.get(event.name):
                            self.tell(name, action)
            self.tell(name, "stop")
        except VendettaError as exc:
            self._spread(exc)
