"""The pool: one connection a node, however many callers; leased while in use, closed when idle for long.

A caller that finds none opens it, and everybody who arrives meanwhile waits for that one login. What is leased is
never closed for age or room. Logins are paced, for each host and overall, so as not to trip sshd's `MaxStartups`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from vendetta.errors import Busy, VendettaError

from .connection import Connection
from .connector import Connector
from .endpoint import Endpoint, Login

LOGINS_PER_HOST = 2
LOGINS = 32
ROOM_SECONDS = 60.0
DRAIN_SECONDS = 10.0


class LinkObserver(Protocol):
    """Told what the links do, at once and in order. Must not wait."""

    def connecting(self, node: str) -> None: ...

    def connected(self, node: str, connection: Connection) -> None: ...

    def lost(self, node: str, error: VendettaError) -> None:
        """A connection that stood has ended, and not by our doing."""

    def failed(self, node: str, error: VendettaError) -> None:
        """A login failed."""

    def closed(self, node: str) -> None:
        """We closed it: asked to, or because nobody used it."""


@dataclass
class Slot:
    """A node's place in the pool. `users` counts leases and callers that wait for the login."""

    connection: Connection | None = None
    opening: asyncio.Task[Connection] | None = None
    users: int = 0
    last_used: float = 0.0
    closing: bool = field(default=False)

    @property
    def live(self) -> Connection | None:
        return self.connection if self.connection and not self.connection.closed else None


class Pool:
    def __init__(
        self,
        connector: Connector,
        observer: LinkObserver,
        *,
        max_connections: int = 1000,
        max_idle_seconds: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._observer = observer
        self._max_connections = max_connections
        self._max_idle = max_idle_seconds
        self._clock = clock
        self._slots: dict[str, Slot] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._overall = asyncio.Semaphore(LOGINS)
        self._per_host: defaultdict[tuple[str, int | None], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(LOGINS_PER_HOST)
        )
        self._freed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._keep(self._close_idle())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for what is leased, for a while, then closes everything."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS), self._freed:
                await self._freed.wait_for(lambda: not any(slot.users for slot in self._slots.values()))
        except TimeoutError:
            pass  # whoever still holds a lease learns it from the closed connection
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.disconnect(node) for node in list(self._slots)))

    def __len__(self) -> int:
        return sum(slot.live is not None for slot in self._slots.values())

    def connection(self, node: str) -> Connection | None:
        """The live connection, if there is one, without a lease."""
        slot = self._slots.get(node)
        return slot.live if slot else None

    @asynccontextmanager
    async def lease(self, endpoint: Endpoint) -> AsyncIterator[Connection]:
        """The node's connection, opened if need be, and kept for as long as the block lasts. Raises `LinkError`."""
        slot = self._slots.setdefault(endpoint.node, Slot())
        slot.users += 1
        try:
            yield await self._opened(slot, endpoint, Login())
        finally:
            slot.users -= 1
            slot.last_used = self._clock()
            if not slot.users:
                self._keep(self._tell_freed())

    async def connect(self, endpoint: Endpoint, login: Login = Login()) -> Connection:  # noqa: B008 - frozen
        """Makes sure that there is a connection. Raises `LinkError`."""
        slot = self._slots.setdefault(endpoint.node, Slot())
        slot.users += 1
        try:
            return await self._opened(slot, endpoint, login)
        finally:
            slot.users -= 1
            slot.last_used = self._clock()

    async def disconnect(self, node: str) -> None:
        """Closes it, whoever uses it. None there: nothing happens."""
        slot = self._slots.pop(node, None)
        if slot is None:
            return
        slot.closing = True
        if slot.opening:
            slot.opening.cancel()
            await asyncio.gather(slot.opening, return_exceptions=True)
        if slot.live:
            await slot.live.close()
            self._observer.closed(node)

    async def _opened(self, slot: Slot, endpoint: Endpoint, login: Login) -> Connection:
        if slot.live:
            return slot.live
        if slot.opening is None:
            slot.opening = asyncio.create_task(self._open(slot, endpoint, login))
            slot.opening.add_done_callback(lambda task: self._opening_done(slot, task))
        # a caller that gives up doesn't take the login away from the others
        return await asyncio.shield(slot.opening)

    @staticmethod
    def _opening_done(slot: Slot, task: asyncio.Task[Connection]) -> None:
        slot.opening = None
        if not task.cancelled():
            task.exception()  # seen: every caller may have given up

    async def _open(self, slot: Slot, endpoint: Endpoint, login: Login) -> Connection:
        node = endpoint.node
        await self._make_room(node)
        self._observer.connecting(node)
        try:
            async with self._overall, self._per_host[endpoint.host, endpoint.port]:
                connection = await self._connector.open(endpoint, login)
        except VendettaError as exc:
            self._observer.failed(node, exc)
            raise
        slot.connection = connection
        slot.last_used = self._clock()
        self._observer.connected(node, connection)
        self._keep(self._tell_end(slot, connection))
        return connection

    async def _tell_end(self, slot: Slot, connection: Connection) -> None:
        await connection.wait_closed()
        if not slot.closing and slot.connection is connection:
            slot.connection = None
            if connection.error:
                self._observer.lost(connection.node, connection.error)
        await self._tell_freed()

    async def _make_room(self, node: str) -> None:
        """Closes the idlest where there are too many; waits where all are in use. Raises `Busy`."""
        try:
            async with asyncio.timeout(ROOM_SECONDS), self._freed:
                while len(self) >= self._max_connections:
                    idle = [
                        (slot.last_used, name) for name, slot in self._slots.items() if slot.live and not slot.users
                    ]
                    if idle:
                        await self.disconnect(min(idle)[1])
                    else:
                        await self._freed.wait()
        except TimeoutError as exc:
            raise Busy(
                f"connect to node {node}: all {self._max_connections} connections are in use",
                hint="Raise max_connections, or try again later.",
            ) from exc

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(min(self._max_idle / 4, 60.0))
            now = self._clock()
            for name, slot in list(self._slots.items()):
                if slot.live and not slot.users and now - slot.last_used > self._max_idle:
                    await self.disconnect(name)

    async def _tell_freed(self) -> None:
        async with self._freed:
            self._freed.notify_all()

    def _keep(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
