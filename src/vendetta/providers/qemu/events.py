"""What happens to VMs, told as it happens: a journal on the node that every script of ours writes to, whoever ran it,
and what each qemu says of itself on a socket of its own. What is done by hand past both is looked for there."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress

from vendetta.errors import EngineUnavailable, VendettaError
from vendetta.providers.powers import BEGUN, InstanceEvent
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Process, Transport

from .argv import WATCHING
from .qmp import open_qmp
from .scripts import VMS, Found, Scripts, parse_found

_ACTIONS = {
    "SHUTDOWN": "shutdown",
    "STOP": "pause",
    "RESUME": "resume",
    "RESET": "reset",
    "GUEST_PANICKED": "panic",
    "BLOCK_IO_ERROR": "io-error",
}
"""By qemu's event; the others change nothing that is shown."""


async def watch(transport: Transport, scripts: Scripts, owner: str) -> AsyncGenerator[InstanceEvent, None]:
    """Implement `Watch.watch`."""
    watching = Watching(transport, scripts, owner)
    reading = asyncio.create_task(watching.read())
    try:
        while True:
            news = await watching.news.get()
            if isinstance(news, VendettaError):
                raise news
            yield news
    finally:
        await cancel_and_wait(reading)


class Watching:
    """`news` are the events, and the error that ends them."""

    def __init__(self, transport: Transport, scripts: Scripts, owner: str) -> None:
        self._transport = transport
        self._scripts = scripts
        self._owner = owner
        self._listening: dict[str, asyncio.Task[None]] = {}
        self.news: asyncio.Queue[InstanceEvent | VendettaError] = asyncio.Queue()

    async def read(self) -> None:
        """Read the journal until it ends, and the events of VMs that run."""
        try:
            process = await self._scripts.open(VMS, "watch", self._owner)
            try:
                await self._follow_journal(read_lines(process))
            finally:
                await process.close()
            ended = EngineUnavailable(f"the journal of node {self._scripts.node} has ended")
            self.news.put_nowait(ended)
        except VendettaError as exc:
            self.news.put_nowait(exc)
        finally:
            listening = list(self._listening.values())
            await cancel_and_wait(*listening)

    async def _follow_journal(self, lines: AsyncIterator[str]) -> None:
        there: list[str] = []
        async for line in lines:
            if not line and len(there) % 3 == 0:  # the second line of a VM may be empty too
                break
            there.append(line)
        self._listen(parse_found("".join(f"{line}\n" for line in there).encode()))
        self.news.put_nowait(BEGUN)
        async for line in lines:
            owner, _, rest = line.partition(" ")
            name, _, said = rest.partition(" ")
            action, _, running = said.partition(" ")
            if owner != self._owner or not action or running.partition(":")[0] in self._listening:
                continue
            if action in ("start", "alive"):
                self._listen(parse_found(await self._scripts.run("watch", VMS, "list", self._owner, name)))
            self.news.put_nowait(InstanceEvent(name, action))

    def _listen(self, there: Sequence[Found]) -> None:
        for found in there:
            if found.alive and found.record.id not in self._listening:
                self._listening[found.record.id] = asyncio.create_task(self._follow(found))

    async def _follow(self, found: Found) -> None:
        name = found.record.name
        try:
            with suppress(EngineUnavailable):  # it has ended already
                async with open_qmp(self._transport, f"{found.folder}/{WATCHING}", f"watch {name}") as qmp:
                    while event := await qmp.next_event():
                        if action := _ACTIONS.get(event.name):
                            self.news.put_nowait(InstanceEvent(name, action))
            self.news.put_nowait(InstanceEvent(name, "stop"))
        except VendettaError as exc:
            self.news.put_nowait(exc)
        finally:
            del self._listening[found.record.id]


async def read_lines(process: Process) -> AsyncGenerator[str, None]:
    """Yield the lines of its stdout without newlines."""
    buffer = b""
    while (piece := await process.read()) is not None:
        if piece.channel == "stdout":
            *lines, buffer = (buffer + piece.data).split(b"\n")
            for line in lines:
                yield line.decode(errors="surrogateescape")
