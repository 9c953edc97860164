"""Assign nodes to replicas: this one claims the nodes that it watches, and gives them back as replicas come and go.

Each node goes to the replica that rendezvous hashing names among those that live, so that one that comes or goes moves
no more nodes than it must. What counts is the claim in the database; the hash only says which replica asks for it.
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
"""How often free nodes are looked for; only where there are other replicas."""


class Watcher(Protocol):
    """What watches the nodes that are held: the monitor."""

    def follow(self, claim: NodeClaim) -> None:
        """Follow the node under this claim. If it is followed under it already, try to connect now."""

    async def unfollow(self, node: str) -> None:
        """Stop following the node, and return when no task of it runs. If it isn't followed, nothing happens."""

    def release(self, node: str) -> None:
        """Close the node's link unless it is in use: another replica watches the node from now on."""


class NodeAssignment:
    """The nodes that this replica watches. It claims nodes only while it serves a watcher.

    `_left` are ids of nodes that aren't watched here, but whose claim in the database may be this replica's.
    """

    def __init__(self, store: Store, replicas: Membership) -> None:
        self._store = store
        self._replicas = replicas
        self._held: dict[str, NodeClaim] = {}
        self._left: set[str] = set()
        self._watcher: Watcher | None = None
        self._settled = False
        self._due = asyncio.Event()
        self._lock = asyncio.Lock()

    @property
    def replica(self) -> str:
        """The id of this replica."""
        return self._replicas.id

    def claims(self) -> Sequence[NodeClaim]:
        """Return the claims of all nodes that this replica watches."""
        return list(self._held.values())

    def claim(self, node: str) -> NodeClaim | None:
        """Return the claim under which this replica watches the node; None where it doesn't."""
        return self._held.get(node) if self._replicas.member else None

    async def borrow(self, node: str) -> NodeClaim:
        """Return a claim under which what is seen of the node now may be written, whichever replica watches it.

        Raises `NodeNotFound`, and `Busy` for a replica that has no place.
        """
        claim = self.claim(node) or await self._store.claims.borrow(node)
        if not self._replicas.member:
            raise Busy("this server has lost its place among the replicas for a moment", hint="Ask again.")
        return claim

    @asynccontextmanager
    async def serving(self, watcher: Watcher) -> AsyncIterator[None]:
        """Assign nodes to the watcher within the block, as replicas come and go; give all of them back at its end."""
        self._watcher = watcher
        self._replicas.on_change(lambda alive: self._due.set())
        unsubscribe = self._store.news.listen(TOPIC, lambda payload: self._on_news())
        await self.settle()
        task = asyncio.create_task(self._keep_settled())
        try:
            yield
        finally:
            unsubscribe()
            await cancel_and_wait(task)
            await self._leave()

    async def settle(self) -> None:
        """Give back the nodes that the hash assigns to others, and claim the free ones that it assigns to this one."""
        async with self._lock:
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
        """Stop watching a node that was removed."""
        async with self._lock:
            await self._drop([node])

    def lost(self, claim: NodeClaim) -> None:
        """Forget a claim under which a write was refused: another replica has claimed the node."""
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

    def _on_news(self) -> None:
        self._replicas.look()
        self._due.set()

    async def _leave(self) -> None:
        """Give all nodes back. If the database doesn't answer, the others claim them once the lease is over."""
        try:
            await self._replicas.stop_watching()
            async with self._lock:
                await self._drop(list(self._held))
                await self._store.claims.give(self._replicas.id)
        except Exception:
            log.warning("nodes not given back: others take them when the lease is over", exc_info=True)
            await self._drop(list(self._held))

    async def _drop(self, names: Iterable[str]) -> None:
        # first the claims: nothing of the links is written under them from now on
        dropped = [claim for name in names if (claim := self._held.pop(name, None))]
        self._left.update(claim.node_id for claim in dropped)
        if self._watcher:
            for claim in dropped:
                await self._watcher.unfollow(claim.node)

    def _release(self, node: str) -> None:
        if self._watcher:
            self._watcher.release(node)

    def _begin(self, nodes: Iterable[ClaimedNode]) -> None:
        for node in nodes:
            self._held[node.claim.node] = node.claim
            if node.wanted and self._watcher:
                self._watcher.follow(node.claim)


def owner_of(node_id: str, replicas: Iterable[str]) -> str | None:
    """Return the replica that is to watch the node, by rendezvous hashing; None where there are no replicas.

    It is the same at every replica, and when one comes or goes, no node moves between two of the others.
    """
    return max(
        replicas, key=lambda replica: blake2b(f"{replica} {node_id}".encode(), digest_size=8).digest(), default=None
    )
