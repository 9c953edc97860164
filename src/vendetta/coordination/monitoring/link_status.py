"""Write what the pool's links do to the store, as the nodes' status, in order, with one event for each change.

The pool calls synchronously and must not wait, so changes go through a queue that one task works off. Of a node that
another replica watches nothing is written: its status is that of the watcher's link.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import structlog

from vendetta.coordination.cluster import NodeAssignment
from vendetta.coordination.events import Events
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import NodeNotFound, VendettaError
from vendetta.models import HostKey, NodeStatus
from vendetta.signals import Signal
from vendetta.ssh.breaker import HOPELESS
from vendetta.ssh.channel import Connection
from vendetta.store import LeaseLost, NodeClaim, Store, Transaction

log = structlog.get_logger(__name__)

RESTING = "closed to make room: max_connections are held for others; asked in turn, and opened when it is needed"
CLOSED = "disconnected"
AT_ONCE = 100
"""The most changes in one transaction: those that wait together are written together."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a node's status to write. `more` are further fields of the node, by name."""

    claim: NodeClaim
    status: NodeStatus
    reason: str | None
    more: Mapping[str, Any]


class LinkStatus:
    """Write the nodes' status as the pool, whose `LinkObserver` this is, reports it.

    Entered before the pool and left after it.
    """

    def __init__(self, store: Store, events: Events, shares: NodeAssignment) -> None:
        self._store = store
        self._shares = shares
        self._events = events
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._shutting_down = False
        self._resting: set[str] = set()
        self._newest: dict[str, Change] = {}
        """The newest change of each node: no other replica writes what its link does."""
        self.opened: Signal[str] = Signal("a link was opened")
        """Sent with the name of the node."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.settled()
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def settled(self) -> None:
        """Wait until everything that the pool has reported so far is written."""
        await self._changes.join()

    def shut_down(self) -> None:
        """Write nothing from now on: links close because the server stops, which says nothing about the nodes."""
        self._shutting_down = True

    # what the pool calls

    def connecting(self, node: str) -> None:
        # one that rests is opened for a moment, in turn: that is worth telling only where it fails
        if node not in self._resting:
            self._put(node, "connecting", None)

    def connected(self, node: str, connection: Connection) -> None:
        self._resting.discard(node)
        self._put(node, "connected", None, host_key=connection.host_key, last_seen=datetime.now(UTC))
        self.opened.send(node)

    def lost(self, node: str, error: VendettaError) -> None:
        self._put(node, "connecting", f"connection lost: {error.message}")

    def failed(self, node: str, error: VendettaError) -> None:
        self._resting.discard(node)
        self._put(node, "error" if isinstance(error, HOPELESS) else "connecting", error.message)

    def closed(self, node: str, reason: str = CLOSED) -> None:
        self._resting.discard(node)
        self._put(node, "unknown", reason)

    def rested(self, node: str) -> None:
        self._resting.add(node)
        self._put(node, "connected", RESTING)

    # what the monitor calls

    def waiting(self, node: str, reason: str) -> None:
        """Note that the node could not be asked because there was no room; `reason` says so."""
        self._resting.discard(node)
        self._put(node, "connecting", reason)

    def answered(self, node: str) -> None:
        """Note that the node has answered, on a link that may have stood all the time, however long it was silent."""
        self._put(node, "connected", None, last_seen=datetime.now(UTC))

    def offline(self, node: str, reason: str) -> None:
        """Note that the node has not answered for long enough to be offline."""
        self._put(node, "offline", reason)

    def _put(
        self,
        node: str,
        status: NodeStatus,
        reason: str | None,
        *,
        host_key: HostKey | None = None,
        last_seen: datetime | None = None,
    ) -> None:
        # the claim of now: what is written late under an older one is refused
        claim = self._shares.claim(node)
        if self._shutting_down or claim is None:
            return
        known: dict[str, Any] = {"host_key": host_key, "last_seen": last_seen}
        more = {field: value for field, value in known.items() if value is not None}
        change = Change(claim, status, reason, more)
        # a thousand nodes that are gone are tried again and again: that costs the store nothing
        if (before := self._newest.get(node)) and adds_nothing(before, change):
            return
        self._newest[node] = change
        self._changes.put_nowait(change)

    async def _work(self) -> None:
        while True:
            batch = [await self._changes.get()]
            while len(batch) < AT_ONCE and not self._changes.empty():
                batch.append(self._changes.get_nowait())
            try:
                await self._write(batch)
            finally:
                for _ in batch:
                    self._changes.task_done()

    async def _write(self, batch: Sequence[Change]) -> None:
        try:
            await retry_while_store_is_down(lambda: self._write_together(batch), stopping=lambda: self._shutting_down)
        except Exception:
            # one status that could not be written must not stop any other
            if len(batch) == 1:
                log.exception("status not written")
                self._newest.pop(batch[0].claim.node, None)
                return
            for change in batch:
                await self._write([change])

    async def _write_together(self, batch: Sequence[Change]) -> None:
        """Write the changes in their order, in one transaction; then announce their events."""
        changed: list[tuple[Change, NodeStatus]] = []
        async with self._store.transaction() as state:
            for change in batch:
                # a node that was removed in the meantime, or isn't recorded yet, has no status to keep
                with suppress(NodeNotFound, LeaseLost):
                    before = await apply(state, change)
                    if before != change.status:
                        changed.append((change, before))
            events = [
                await state.events.append(
                    f"node.{change.status}", change.claim.node, "server", {"before": before, "reason": change.reason}
                )
                for change, before in changed
            ]
        for event in events:
            await self._events.announce(event)


def adds_nothing(before: Change, change: Change) -> bool:
    """Return whether `change` has no news after `before`: the link is tried again, or failed in the same way."""
    if before.claim != change.claim or change.more or change.status != "connecting":
        return False
    return before.status == "offline" or (before.status == "connecting" and change.reason in (None, before.reason))


async def apply(state: Transaction, change: Change) -> NodeStatus:
    """Write the change, and return the status that the node had: the same one if there is nothing to announce.

    Raises `NodeNotFound`, `LeaseLost`.
    """
    status, node = change.status, change.claim.node
    await state.fence(change.claim)
    before = (await state.nodes.get(node)).status
    # an offline node stays offline while it is tried again: an event for a change, not for every try
    if before == "offline" and status == "connecting":
        return status
    # its new watcher logs in beside the one before: that it can't would be news
    if before == "connected" and status == "connecting" and change.reason is None:
        return status
    # the request that disconnected it has written its reason already
    if before == "unknown" == status and change.reason == CLOSED:
        return status
    await state.nodes.update(node, status=status, reason=change.reason, **change.more)
    return before
