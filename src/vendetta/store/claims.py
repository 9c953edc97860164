"""Who watches which node. Raised with each claim, a node's `term` tells the claim of now from all before it.

What is seen of a node is fenced by its claim: whoever writes it holds the node's row meanwhile, so that either the
write was there before the next claim, or it is refused. Another replica than the watcher, that looks because somebody
asked it to, borrows the claim for a moment by the database's clock.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, Interval, and_, bindparam, case, func, literal, null, or_, select, update

from vendetta.errors import NodeNotFound
from vendetta.models import FINISHED

from .connection import Connection, is_shared
from .database import Access
from .news import News
from .replicas import TOPIC, build_alive
from .rows import in_pieces
from .tables import nodes, operations, replicas

BORROWED_SECONDS = 30.0
"""How long a claim that was borrowed counts: enough to ask a node, and over for who wakes from a pause."""


class LeaseLost(Exception):
    """Raised in place of a write that is another replica's to make by now. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClaim:
    """Say that a replica watches a node. `node` is its name; the id tells it from a later one of that name.

    One that was borrowed counts until `until`, by the database's clock; `watcher` is None where nobody watches it.
    """

    node: str
    node_id: str
    watcher: str | None
    term: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLease:
    """Say that a replica, `holder`, performs an operation, by its id."""

    operation: str
    holder: str


Lease = NodeClaim | OperationLease


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedNode:
    """A node that was claimed, and whether somebody wants its link."""

    claim: NodeClaim
    wanted: bool


class Claims:
    def __init__(self, database: Access, news: News) -> None:
        self._database = database
        self._news = news

    async def free(self) -> Mapping[str, str]:
        """Return the nodes that no living replica watches: id to name."""
        query = select(nodes.c.id, nodes.c.name).where(_FREE)
        async with self._database.read() as connection:
            return {row.id: row.name for row in await connection.execute(query)}

    async def take(self, watcher: str, node_ids: Collection[str], *, anew: bool = False) -> Sequence[ClaimedNode]:
        """Claim those of the nodes that are free, or the watcher's own; nothing for a watcher whose lease is over.

        A link that nobody wants isn't watched: its status is unknown from now on. `anew`: nobody has watched until now,
        so that none is known to be connected. Returns what was claimed.
        """
        living = select(replicas.c.id).where(replicas.c.id == watcher, build_alive()).exists()
        unwatched = and_(~nodes.c.wanted, nodes.c.status != "unknown")
        stale = and_(literal(anew), nodes.c.wanted, nodes.c.status == "connected")
        claimed: list[ClaimedNode] = []
        # in one order, so that two replicas never wait for each other's rows
        for ids in in_pieces(sorted(node_ids)):
            query = (
                update(nodes)
                .where(nodes.c.id.in_(ids), or_(_FREE, nodes.c.watcher == watcher), living)
                .values(
                    watcher=watcher,
                    term=nodes.c.term + 1,
                    status=case((unwatched, "unknown"), (stale, "connecting"), else_=nodes.c.status),
                    reason=case((stale, null()), else_=nodes.c.reason),
                    since=case((or_(unwatched, stale), datetime.now(UTC)), else_=nodes.c.since),
                )
                .returning(nodes.c.id, nodes.c.name, nodes.c.term, nodes.c.wanted)
            )
            async with self._database.write() as connection:
                for row in await connection.execute(query):
                    claim = NodeClaim(node=row.name, node_id=row.id, watcher=watcher, term=row.term)
                    claimed.append(ClaimedNode(claim=claim, wanted=row.wanted))
        return claimed

    async def give(self, watcher: str, node_ids: Collection[str] | None = None) -> None:
        """Let go of those of the nodes that are the watcher's; None: of all that are."""
        query = update(nodes).where(nodes.c.watcher == watcher).values(watcher=None)
        queries = (
            [query] if node_ids is None else [query.where(nodes.c.id.in_(ids)) for ids in in_pieces(sorted(node_ids))]
        )
        for one in queries:
            async with self._database.write() as connection:
                await connection.execute(one)
                await self._news.notify_within(connection, TOPIC, {})

    async def borrow(self, node: str) -> NodeClaim:
        """Return the claim of whoever watches the node. Raises `NodeNotFound`.

        It counts until the node is claimed anew; on PostgreSQL for at most BORROWED_SECONDS.
        """
        async with self._database.read() as connection:
            # on SQLite there is one process, and nothing that it could be too late for
            until = func.now() + literal(timedelta(seconds=BORROWED_SECONDS), Interval)
            end = until if is_shared(connection) else literal(None)
            query = select(nodes.c.id, nodes.c.watcher, nodes.c.term, end.label("until")).where(nodes.c.name == node)
            row = (await connection.execute(query)).first()
        if row is None:
            raise NodeNotFound(f"there is no node {node}", hint="See them with: vendetta node list", node=node)
        return NodeClaim(node=node, node_id=row.id, watcher=row.watcher, term=row.term, until=row.until)

    async def held(self, watcher: str) -> Mapping[NodeClaim, bool]:
        """Return the claims that the database has of the watcher, each with whether somebody wants the node's link."""
        query = select(nodes.c.id, nodes.c.name, nodes.c.term, nodes.c.wanted).where(nodes.c.watcher == watcher)
        async with self._database.read() as connection:
            return {
                NodeClaim(node=row.name, node_id=row.id, watcher=watcher, term=row.term): row.wanted
                for row in await connection.execute(query)
            }

    async def count(self) -> Mapping[str, int]:
        """Return how many nodes each replica holds, by its id; one that holds none is absent."""
        query = select(nodes.c.watcher, func.count().label("number")).where(nodes.c.watcher.is_not(None))
        async with self._database.read() as connection:
            return {row.watcher: row.number for row in await connection.execute(query.group_by(nodes.c.watcher))}


async def fence(connection: Connection, lease: Lease) -> None:
    """Keep the node, or the operation, from being taken before the transaction ends.

    Raises `LeaseLost` where somebody has taken it, or it is gone.
    """
    if isinstance(lease, NodeClaim):
        await _fence_node(connection, lease)
    elif is_shared(connection):  # on SQLite there is nobody else to perform it
        await _fence_operation(connection, lease)


async def _fence_operation(connection: Connection, held: OperationLease) -> None:
    parameters = {_ID: held.operation, _HOLDER: held.holder}
    if (await connection.execute(_HOLD_OPERATION, parameters)).first() is None:
        raise LeaseLost(f"operation {held.operation} is performed by another replica")


async def _fence_node(connection: Connection, claim: NodeClaim) -> None:
    parameters = {_ID: claim.node_id, _HOLDER: claim.watcher, _TERM: claim.term, _UNTIL: claim.until}
    if (await connection.execute(_HOLD_NODE, parameters)).first() is None:
        raise LeaseLost(f"node {claim.node} is watched by another replica, or was asked too long ago")


_FREE = or_(nodes.c.watcher.is_(None), nodes.c.watcher.not_in(select(replicas.c.id).where(build_alive())))

_ID, _HOLDER, _TERM, _UNTIL = "held_id", "held_by", "held_term", "held_until"
_HOLD_OPERATION = (
    select(operations.c.id)
    .where(
        operations.c.id == bindparam(_ID),
        operations.c.holder == bindparam(_HOLDER),
        operations.c.state.not_in(FINISHED),
    )
    .with_for_update(read=True)
)
_end = bindparam(_UNTIL, type_=DateTime(timezone=True))
_HOLD_NODE = (
    select(nodes.c.term)
    .where(
        nodes.c.id == bindparam(_ID),
        nodes.c.watcher.is_not_distinct_from(bindparam(_HOLDER)),
        nodes.c.term == bindparam(_TERM),
        or_(_end.is_(None), func.now() < _end),
    )
    # the lock of an update that leaves the keys alone: two of them take turns instead of waiting for each other
    .with_for_update(key_share=True)
)
