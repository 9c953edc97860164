"""What the server can say of itself in numbers, by words of which there are few: never by the name of anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vendetta.ssh.pool import Pool
from vendetta.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Count nodes by the status of their link, engines by provider and state, operations by kind and state.

    `waiting` are those who wait for a place among the connections, `leased` the uses of one that go on.
    """

    nodes: Mapping[str, int] = field(default_factory=dict)
    engines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    workspaces: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    breakers: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    leased: int = 0


async def take_figures(store: Store, pool: Pool) -> Figures:
    """Count what the store holds and what the pool does now. Raises `StoreUnavailable`."""
    return Figures(
        nodes=await store.nodes.count_by_status(),
        engines=await store.nodes.count_engines(),
        workspaces=await store.workspaces.count_by_state(),
        operations=await store.operations.count_by_state(),
        breakers=pool.breakers_by_state(),
        waiting=pool.waiting,
        leased=pool.leased,
    )
