"""This process among the replicas that share the database: its place by a lease, and who else has one.

The lease ends by the database's clock, so that the others know when a place is free; and by this machine's own, counted
from before it was asked for, so that this one never thinks it has a place that it lost. On SQLite there is nobody else.
"""

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

import structlog

from vendetta import __version__
from vendetta.models import Replica
from vendetta.signals import Signal
from vendetta.store import Peer
from vendetta.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 3.0
LEASE_SECONDS = 10.0
"""A replica that died is replaced once its lease is over, so this and the logins to its nodes are within 15 s."""
ANSWER_SECONDS = 4.0
"""How long the database may take for a heartbeat: there is time for another before the lease is over."""
RETRY_SECONDS = 1.0
MARGIN_SECONDS = 0.05

Alive = frozenset[str]


class Roster(Protocol):
    """`Store.replicas`."""

    async def join(self, replica: Replica, lease_seconds: float) -> Sequence[Peer]: ...

    async def renew(self, id: str, lease_seconds: float, *, watches: bool) -> Sequence[Peer] | None: ...

    async def leave(self, id: str) -> None: ...


class Membership:
    """This replica among all on the database. Its `id` is made anew at each start of the process."""

    def __init__(
        self,
        roster: Roster,
        *,
        shared: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.id = uuid.uuid4().hex
        self._roster = roster
        self._shared = shared
        self._clock = clock
        self._sleep = sleep
        self._replica = Replica(
            id=self.id, host=socket.gethostname(), version=__version__, pid=os.getpid(), started_at=datetime.now(UTC)
        )
        self._watches = True
        self._peers: dict[str, Peer] = {}
        self._place_until = 0.0
        self._known: Alive = frozenset()
        self._changed: Signal[Alive] = Signal("who is among the replicas has changed")
        self._gone: Signal[str] = Signal("a replica is gone")
        self._due, self._renewed = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        asked_at = self._clock()
        self._take_in(await self._roster.join(self._replica, LEASE_SECONDS), asked_at)
        if self._shared:
            self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._guard())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place back, so that the others needn't wait for the lease to end."""
        await cancel_and_wait(*self._tasks)
        self._peers, self._place_until = {}, 0.0
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._roster.leave(self.id)
        except Exception:
            log.warning("place among the replicas not given back: it ends by itself", exc_info=True)

    @property
    def member(self) -> bool:
        """Whether this replica has a place just now: right at any moment, also after the process was paused."""
        return bool(self._peers) and (not self._shared or self._clock() < self._place_until)

    def alive(self) -> Alive:
        """Return the ids of all replicas that have a place, as known here; none while this one has lost its own."""
        return frozenset(self._peers) if self.member else frozenset()

    def watching(self) -> Alive:
        """Return the ids of the replicas that take nodes: one that is about to stop doesn't."""
        return frozenset(peer.id for peer in self._peers.values() if peer.watches) if self.member else frozenset()

    def on_change(self, listener: Callable[[Alive], None]) -> None:
        """Call `listener` with the ids that are alive whenever those, or which of them take nodes, have changed.

        None are alive once this replica has lost its place.
        """
        self._changed.listen(listener)

    def on_gone(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the id of each other replica that lost or gave back its place."""
        self._gone.listen(listener)

    def look(self) -> None:
        """Read the replicas from the database now, rather than at the next heartbeat."""
        self._due.set()

    async def stop_watching(self) -> None:
        """Take no nodes from now on, but keep the place. Raises `StoreUnavailable`."""
        self._watches = False
        if self._shared:
            await self._beat()

    async def _keep(self) -> None:
        pause = HEARTBEAT_SECONDS
        while True:
            await self._pause(pause)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._beat()
            except Exception as exc:
                log.warning("no heartbeat: the database does not answer", error=str(exc) or type(exc).__name__)
                pause = RETRY_SECONDS
            else:
                pause = self._until_next()

    async def _pause(self, seconds: float) -> None:
        due, slept = asyncio.ensure_future(self._due.wait()), asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait([due, slept], return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
            slept.cancel()
        self._due.clear()

    def _until_next(self) -> float:
        """Return the seconds until the next heartbeat: sooner where another's lease may end before."""
        ends = [peer.seconds for peer in self._peers.values() if peer.id != self.id and peer.seconds is not None]
        return min([HEARTBEAT_SECONDS, *(seconds + MARGIN_SECONDS for seconds in ends)])

    async def _beat(self) -> None:
        asked_at = self._clock()
        peers = None
        if self._peers:
            peers = await self._roster.renew(self.id, LEASE_SECONDS, watches=self._watches)
            if peers is None:
                self._lose("it was not renewed in time")
                asked_at = self._clock()
        if peers is None:
            peers = await self._roster.join(self._replica, LEASE_SECONDS)
            log.info("back among the replicas", replica=self.id)
        self._take_in(peers, asked_at)

    async def _guard(self) -> None:
        """Notice the end of the lease, also while the database doesn't answer."""
        while True:
            self._renewed.clear()
            left = self._place_until - self._clock()
            if self._peers and left > 0:
                await self._sleep(left)
            elif self._peers:
                self._lose("the database did not answer until it was over")
            else:
                await self._renewed.wait()

    def _take_in(self, peers: Sequence[Peer], asked_at: float) -> None:
        before, self._peers = self._peers, {peer.id: peer for peer in peers}
        self._place_until = asked_at + LEASE_SECONDS
        self._renewed.set()
        for gone in self._known - self._peers.keys() - {self.id}:
            log.info("replica gone", replica=gone)
            self._gone.send(gone)
        # kept while this one has no place, so that those that went meanwhile are reported too
        self._known = frozenset(self._peers)
        if {(peer.id, peer.watches) for peer in before.values()} != {(peer.id, peer.watches) for peer in peers}:
            self._notify()

    def _lose(self, reason: str) -> None:
        log.warning("place among the replicas lost", replica=self.id, reason=reason)
        self._peers = {}
        self._notify()

    def _notify(self) -> None:
        self._changed.send(self.alive())
