"""A link whose node isn't heard before we have gone silent: so that it can be counted how often we wait for it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

QUIET_SECONDS = 0.4
"""With nothing sent and nothing come for so long, both sides are taken to wait for what is held back.

Where one is slower than this, what it says next is counted as another round: too many are counted then, never too few.
"""


class HeldLink:
    """A port of this machine behind which a node's sshd is."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._holding = False
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._moved = asyncio.Event()
        self.flows: set[asyncio.Task[None]] = set()
        self.port = 0

    async def count_rounds(self, work: Coroutine[Any, Any, object]) -> int:
        """How often the node's answers had to be let through until the work was done."""
        working = asyncio.ensure_future(work)
        rounds, self._holding = 0, True
        try:
            while not working.done():
                if await self._moves(working):
                    continue
                if self._held:
                    rounds += 1
                    self._let_through()
            await working
        finally:
            self._holding = False
            self._let_through()
        return rounds

    async def _moves(self, working: "asyncio.Future[object]") -> bool:
        """Whether anything was sent, or came, or the work is done: before both are silent."""
        self._moved.clear()
        moving = asyncio.ensure_future(self._moved.wait())
        done, _ = await asyncio.wait([moving, working], timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        moving.cancel()
        return bool(done)

    def _let_through(self) -> None:
        for writer, data in self._held:
            writer.write(data)
        self._held.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for task in (
            asyncio.create_task(self._carry(reader, far_writer, answers=False)),
            asyncio.create_task(self._carry(far_reader, writer, answers=True)),
        ):
            self.flows.add(task)
            task.add_done_callback(self.flows.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    self._moved.set()
                    if answers and self._holding:
                        self._held.append((writer, data))
                    else:
                        writer.write(data)
        finally:
            writer.close()


@asynccontextmanager
async def held_link(host: str, port: int) -> AsyncIterator[HeldLink]:
    link = HeldLink(host, port)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    try:
        link.port = server.sockets[0].getsockname()[1]
        yield link
    finally:
        server.close()
        for task in link.flows:
            task.cancel()
        await asyncio.gather(*link.flows, return_exceptions=True)
