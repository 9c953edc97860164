"""Hold one connection a node, however many callers: leased while in use, closed when idle for long.

A caller that finds none logs in, and everybody who arrives meanwhile waits for that one login. What is leased is never
closed for age or room. A connection that nobody used for a while is asked whether it still answers before it is
leased, so that one which died unnoticed is replaced without the caller seeing an error.

To watch a node is a use of low priority: it keeps the connection from being closed for age, not from making room, and
waits for room behind everybody else. A breaker for each node says when watching tries again after a failure.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from types import TracebackType
from typing import Self

import structlog

from vendetta.errors import AuthFailed, Busy, ConnectionLost, HostKeyUnknown, LinkError, VendettaError
from vendetta.ssh.breaker import Breaker
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.login import Connector

from .capacity import Capacity
from .slots import Link, LinkObserver, PendingLogin

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 10.0
SWEEP_SECONDS = 60.0
FRESH_SECONDS = 10.0
"""A connection that was in use within that time is leased without being asked first."""
CHECK_SECONDS = 5.0
TURNING = 20
"""If there is no room, nodes that are only watched take turns on one place in so many."""

NO_LOGIN = Login()


class Pool:
    """Hold one connection a node and lease it. `room` belongs to this pool alone."""

    def __init__(
        self,
        connector: Connector,
        observer: LinkObserver,
        room: Capacity,
        *,
        max_idle_seconds: float = 3600.0,
        drain_seconds: float = DRAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._observer = observer
        self._max_idle = max_idle_seconds
        self._drain_seconds = drain_seconds
        self._clock = clock
        self._links: dict[str, Link] = {}
        self._breakers: dict[str, Breaker] = {}
        # of the nodes that people have used, whether they are connected or not: one that made room for somebody in a
        # hurry gets its place back with its next visit, from those that were only ever watched
        self._last_used: dict[str, float] = {}
        self._watched: set[str] = set()
        self._turns = asyncio.Semaphore(max(1, room.limit // TURNING))
        self._room = room
        room.lacking.listen(lambda _: self._make_room())
        self._tasks = asyncio.TaskGroup()
        self._leaving = 0
        self._leases = 0
        self._unused = asyncio.Event()
        self._draining = False
        self._warned_of_rest = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._sweeping = self._tasks.create_task(self._sweep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the end of leases, at most `drain_seconds`, then close everything."""
        self._draining = True
        try:
            await self._drain()
        finally:
            self._sweeping.cancel()
            await self._tasks.__aexit__(None, None, None)
            await self._connector.close()

    def __len__(self) -> int:
        return sum(link.live is not None for link in self._links.values())

    def connection(self, node: str) -> Connection | None:
        """Return the live connection, without a lease; None if there is none."""
        link = self._links.get(node)
        return link.live if link else None

    def breaker(self, node: str) -> Breaker | None:
        """Return the node's breaker; None if there was no try yet, or it was disconnected since."""
        return self._breakers.get(node)

    def breakers_by_state(self) -> Mapping[str, int]:
        """Count the breakers in each state."""
        return Counter(breaker.state for breaker in self._breakers.values())

    @property
    def max_connections(self) -> int:
        """How many connections there may be at once."""
        return self._room.limit

    @property
    def waiting(self) -> int:
        """How many callers wait for a place among the connections."""
        return self._room.wanted

    @property
    def leased(self) -> int:
        """How many uses of a connection go on."""
        return self._leases

    @asynccontextmanager
    async def lease(self, endpoint: Endpoint) -> AsyncIterator[Connection]:
        """Lease the node's connection for the block, opening it if need be. Raises `LinkError`, `Busy`.

        Whatever the breaker says, a login that is needed is tried at once.
        """
        async with self._using(endpoint.node) as link:
            yield await self._reach(link, endpoint, NO_LOGIN)

    @contextmanager
    def watching(self, node: str) -> Iterator[None]:
        """Keep the node's connection from being closed for age while the block runs.

        It may still be closed to make room: `LinkObserver.rested` is called then.
        """
        self._watched.add(node)
        try:
            yield
        finally:
            self._watched.discard(node)

    @asynccontextmanager
    async def visit(self, endpoint: Endpoint) -> AsyncIterator[Connection]:
        """Lease the connection only to look: that doesn't count as use, and waits for room behind everybody else."""
        # the turn first: who waits for it must not keep others from taking the place of this very node
        async with self._turn(endpoint.node), self._using(endpoint.node, watching=True) as link:
            yield await self._reach(link, endpoint, NO_LOGIN, watching=True)

    async def connect(self, endpoint: Endpoint, login: Login = NO_LOGIN) -> Connection:
        """Make sure that there is a connection, and return it. Raises `LinkError`, `Busy`."""
        async with self._using(endpoint.node) as link:
            return await self._reach(link, endpoint, login)

    async def disconnect(self, node: str) -> None:
        """Close the node's connection, whoever uses it. No connection is no error.

        Callers who wait for its login get `ConnectionLost`.
        """
        self._breakers.pop(node, None)
        self._last_used.pop(node, None)
        link = self._links.pop(node, None)
        if link is None:
            return
        if link.pending:
            link.pending.cancel()
            await asyncio.wait([link.pending.outcome])
        await self._close(link, self._observer.closed)

    def release(self, node: str) -> None:
        """Close the connection if nobody uses it: another replica watches the node from now on."""
        link = self._links.get(node)
        if link and link.is_idle:
            self._evict(link)

    # leases

    @asynccontextmanager
    async def _using(self, node: str, *, watching: bool = False) -> AsyncIterator[Link]:
        if self._draining:
            raise Busy(f"connect to node {node}: the server is stopping", node=node)
        link = self._links.setdefault(node, Link(node, last_used=self._last_used.get(node, 0.0)))
        link.users += 1
        link.watchers += watching
        self._leases += 1
        try:
            yield link
        finally:
            link.users -= 1
            link.watchers -= watching
            self._leases -= 1
            link.last_active = self._clock()
            if not watching:
                link.last_used = self._last_used[link.node] = link.last_active
            self._after_use(link)

    def _after_use(self, link: Link) -> None:
        if not self._leases:
            self._unused.set()
        self._tidy(link)
        if self._room.wanted and not link.users:
            self._make_room()

    def _tidy(self, link: Link) -> None:
        """Drop the node's place if it has no connection and no users."""
        if link.is_empty and self._links.get(link.node) is link:
            del self._links[link.node]

    def _turn(self, node: str) -> AbstractAsyncContextManager[object]:
        return self._turns if self._room.full and self.connection(node) is None else nullcontext()

    async def _reach(self, link: Link, endpoint: Endpoint, login: Login, *, watching: bool = False) -> Connection:
        while True:
            pending = link.pending
            if pending is None:
                if link.live and (self._in_use(link, watching) or self._clock() - link.last_active < FRESH_SECONDS):
                    return link.live
                return await asyncio.shield(self._start(link, endpoint, login, watching).outcome)
            if not watching:
                self._room.hurry(link.node)
            try:
                # a caller that gives up doesn't take the login away from the others
                return await asyncio.shield(pending.outcome)
            except (AuthFailed, HostKeyUnknown):
                if login == NO_LOGIN:
                    raise
                # another's login failed for the want of what this caller brings
            except Busy:
                if watching or not pending.watching:
                    raise
                # it had waited for long before this caller came, who has a deadline of its own

    def _in_use(self, link: Link, watching: bool) -> bool:
        """Return whether another caller uses the connection, who would be cut off by a replacement."""
        return link.users - link.watchers > (0 if watching else 1)

    # logins

    def _start(self, link: Link, endpoint: Endpoint, login: Login, watching: bool) -> PendingLogin:
        pending = PendingLogin(asyncio.get_running_loop().create_future(), watching)
        pending.outcome.add_done_callback(lambda outcome: outcome.exception())  # seen: every caller may have given up
        link.pending = pending
        pending.task = self._tasks.create_task(
            self._carry_out(link, pending, endpoint, login), name=f"connect {link.node}"
        )
        pending.task.add_done_callback(lambda _: self._end_login(link, pending))
        return pending

    async def _carry_out(self, link: Link, pending: PendingLogin, endpoint: Endpoint, login: Login) -> None:
        try:
            connection = await self._checked(link) or await self._log_in(link, endpoint, login, pending.watching)
        except Exception as exc:
            # the callers' to know: in the task group it would end everything
            link.pending = None
            pending.outcome.set_exception(exc)
        else:
            link.pending = None
            link.last_active = self._clock()
            pending.outcome.set_result(connection)

    def _end_login(self, link: Link, pending: PendingLogin) -> None:
        """End the login however it went, also if it was cancelled before it began."""
        if link.pending is pending:
            link.pending = None
        if not pending.outcome.done():
            pending.outcome.set_exception(
                ConnectionLost(f"connect to node {link.node}: it was disconnected meanwhile", node=link.node)
            )
        self._tidy(link)

    async def _checked(self, link: Link) -> Connection | None:
        """Return the connection that is there if it answers, else None."""
        connection = link.live
        if connection is None:
            return None
        try:
            await connection.ping(CHECK_SECONDS)
        except LinkError:
            return None
        if (breaker := self._breakers.get(link.node)) and breaker.state != "closed":
            # it had stalled, and a login beside it had failed
            breaker.succeeded()
            self._observer.connected(link.node, connection)
        return connection

    async def _log_in(self, link: Link, endpoint: Endpoint, login: Login, watching: bool) -> Connection:
        # one that is silent may only have stalled: it stays until there is another
        silent = link.live
        await self._room.take(link.node, instead=silent is not None, watching=watching)
        breaker = self._breakers.setdefault(link.node, Breaker(self._clock))
        try:
            breaker.trying()
            self._observer.connecting(link.node)
            connection = await self._connector.open(endpoint, login)
        except BaseException as exc:
            self._room.give()
            if isinstance(exc, VendettaError):
                breaker.failed(exc)
                self._observer.failed(link.node, exc)
            else:
                breaker.gave_up()
                self._observer.closed(link.node)
            raise
        link.connection = connection
        breaker.succeeded()
        self._observer.connected(link.node, connection)
        self._tasks.create_task(self._follow(link, connection), name=f"follow {link.node}")
        if silent is not None:
            self._tasks.create_task(silent.close(), name=f"close {link.node}")
        return connection

    async def _follow(self, link: Link, connection: Connection) -> None:
        """Wait for the end of the connection, and report it unless we closed or replaced the connection."""
        await connection.wait_closed()
        self._room.give()
        if link.connection is connection:
            link.connection = None
            if error := connection.error:
                self._breakers.setdefault(link.node, Breaker(self._clock)).failed(error)
                self._observer.lost(link.node, error)
            self._tidy(link)
        await connection.close()  # what was opened on this side

    # room

    def _make_room(self) -> None:
        """Close as many of the idlest connections as callers wait; one that was only ever watched is the idlest.

        A caller who only watches waits for the end of such a look, and takes no place from what people use.
        """
        idlest = [link for link in self._links.values() if link.is_idle or (link.is_watched and not self._room.hurried)]
        idlest.sort(key=lambda link: (link.last_used, link.last_active))
        for link in idlest[: max(0, self._room.wanted - self._leaving)]:
            if link.is_idle:
                self._evict(link)

    def _evict(self, link: Link) -> None:
        del self._links[link.node]
        self._leaving += 1
        rests = link.node in self._watched
        if rests and not self._warned_of_rest:
            self._warned_of_rest = True
            log.warning(
                "more nodes than max_connections: the idlest rest, and are asked in turn",
                max_connections=self.max_connections,
                nodes=len(self._watched),
            )
        tell = self._observer.rested if rests else self._observer.closed
        task = self._tasks.create_task(self._close(link, tell), name=f"close {link.node}")
        task.add_done_callback(self._evicted)

    def _evicted(self, _: "asyncio.Task[None]") -> None:
        self._leaving -= 1

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(self._max_idle / 4, SWEEP_SECONDS))
            oldest = self._clock() - self._max_idle
            for link in list(self._links.values()):
                if link.is_idle and link.node not in self._watched and link.last_active < oldest:
                    self._evict(link)

    async def _close(self, link: Link, tell: Callable[[str], None]) -> None:
        connection, link.connection = link.connection, None
        if connection is None:
            return
        # first: while it closes, the next one may already be opened
        tell(link.node)
        await connection.close()

    async def _drain(self) -> None:
        for link in self._links.values():
            if link.pending:
                link.pending.cancel()
        try:
            async with asyncio.timeout(self._drain_seconds):
                while self._leases:
                    self._unused.clear()
                    await self._unused.wait()
        except TimeoutError:
            pass  # a caller that still holds a lease finds its connection closed
        finally:
            await asyncio.gather(*(self.disconnect(node) for node in list(self._links)))
