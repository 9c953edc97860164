"""The nodes that this replica watches: its share of them, claimed and given back as replicas come and go.

Each node goes to the replica that rendezvous hashing names among those that live, so that one that comes or goes moves
no more nodes than it must. What counts is the claim in the database; the hash only says who should ask for it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Protocol

import structlog

from vendetta.errors import Busy
from vendetta.store import ClaimedNode, NodeClaim, Store
from vendetta.store.replicas import TOPIC
from vendetta.tasks import cancel_and_wait

from .membership import Membership

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
LOOK_SECONDS = 3.0
"""How often it is looked whether nodes are free, however that came about; only where there are other replicas."""


class Watcher(Protocol):
    """What watches the nodes that are held: the monitor."""

    def follow(self, claim: NodeClaim) -> None:
        """From now on, under this claim. Followed already under it: it is tried again now rather than later."""

    async def unfollow(self, node: str) -> None:
        """No more; returns when nothing of it runs. Not followed: nothing happens."""

    def release(self, node: str) -> None:
        """Another replica watches it from now on: its link stays only where somebody uses it."""


class NodeAssignment:
    """`claim` may be asked at any time; nodes are taken while it serves a watcher.

    `_left` are ids of nodes that aren't watched here, but that the database may count as this replica's.
    """

    def __init__(self, store: Store, replicas: Membership) -> None:
        self._store = store
        self._replicas = replicas
        self._held: dict[str, NodeClaim] = {}
        self._left: set[str] = set()
        self._watcher: Watcher | None = None
        self._settled = False
        self._due = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def replica(self) -> str:
        """Whose share it is: the id of this replica."""
        return self._replicas.id

    def claims(self) -> Sequence[NodeClaim]:
        return list(self._held.values())

    def claim(self, node: str) -> NodeClaim | None:
        """By which this replica watches the node; None: it doesn't."""
        return self._held.get(node) if self._replicas.member else None

    async def borrow(self, node: str) -> NodeClaim:
        """What is seen of the node now may be written under this, whoever watches it.

        Raises `NodeNotFound`, and `Busy` for a replica that has no place.
        """
        claim = self.claim(node) or await self._store.claims.borrow(node)
        if not self._replicas.member:
            raise Busy("this server has lost its place among the replicas for a moment", hint="Ask again.")
        return claim

    @asynccontextmanager
    async def serving(self, watcher: Watcher) -> AsyncIterator[None]:
        """Nodes are given to the watcher, and taken from it; in the end they are left to the other replicas."""
        self._watcher = watcher
        self._replicas.on_change(lambda alive: self._due.set())
        end_listening = self._store.news.listen(TOPIC, lambda payload: self._hear())
        await self.settle()
        task = asyncio.create_task(self._keep_settled())
        try:
            yield
        finally:
            end_listening()
            await cancel_and_wait(task)
            await self._leave()

    async def settle(self) -> None:
        """Gives what is another's and takes what is this one's, once."""
        async with self._turn:
            own, watching = self._replicas.id, self._replicas.watching()
            if own not in watching:
                await self._drop(list(self._held))
                return
            given = [claim.node for claim in self._held.values() if owner_of(claim.node_id, watching) != own]
            await self._drop(given)
            if self._left:
                await self._store.claims.give(own, self._left)
                self._left.clear()
            for node in given:
                self._release(node)
            free = await self._store.claims.free()
            mine = [node_id for node_id in free if owner_of(node_id, watching) == own]
            if mine:
                # where the answer is lost nobody would know that they are this one's
                self._left.update(mine)
                alone = not self._settled and len(watching) == 1
                self._begin(await self._store.claims.take(own, mine, anew=alone))
                self._left.clear()
            self._settled = True

    async def drop(self, node: str) -> None:
        """The node is no more."""
        async with self._turn:
            await self._drop([node])

    def lost(self, claim: NodeClaim) -> None:
        """A write was refused: somebody else has claimed the node."""
        if self._held.get(claim.node) == claim:
            del self._held[claim.node]
            self._due.set()

    async def _keep_settled(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._store.shared else None):
                    await self._due.wait()
            self._due.clear()
            try:
                await self.settle()
            except Exception as exc:
                log.warning("nodes not shared out", error=str(exc) or type(exc).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                self._due.set()

    def _hear(self) -> None:
        self._replicas.look()
        self._due.set()

    async def _leave(self) -> None:
        """The others take the nodes at once, where the database can be told; else when the lease is over."""
        try:
            await self._replicas.stop_watching()
            async with self._turn:
                await self._drop(list(self._held))
                await self._store.claims.give(self._replicas.id)
        except Exception:
            log.warning("nodes not given back: others take them when the lease is over", exc_info=True)
            await self._drop(list(self._held))

    async def _drop(self, names: Iterable[str]) -> None:
        # first the claims: what the links do from now on isn't this replica's to say
        dropped = [claim for name in names if (claim := self._held.pop(name, None))]
        self._left.update(claim.node_id for claim in dropped)
        if self._watcher:
            for claim in dropped:
                await self._watcher.unfollow(claim.node)

    def _release(self, node: str) -> None:
        if self._watcher:
            self._watcher.release(node)

    def _begin(self, shares: Iterable[ClaimedNode]) -> None:
        for share in shares:
            self._held[share.claim.node] = share.claim
            if share.wanted and self._watcher:
                self._watcher.follow(share.claim)


def owner_of(node_id: str, replicas: Iterable[str]) -> str | None:
    """By rendezvous hashing: every replica names the same one, and of those that stay none gets another's node."""
    return max(
        replicas, key=lambda replica: blake2b(f"{replica} {node_id}".encode(), digest_size=8).digest(), default=None
    )
