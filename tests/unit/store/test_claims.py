from datetime import UTC, datetime

import pytest
from tests.unit.store.samples import make_node, make_workspace

from vendetta.errors import NodeNotFound
from vendetta.models import Replica
from vendetta.store import LeaseLost, NodeClaim, Store

LEASE_SECONDS = 60.0
OVER = -1.0
"""A lease that has ended already."""


def make_replica(id: str) -> Replica:
    return Replica(id=id, host="here", version="1", pid=1, started_at=datetime.now(UTC))


async def claim(store: Store, watcher: str, node: str) -> NodeClaim | None:
    shares = await store.claims.take(watcher, [(await store.nodes.get(node)).id])
    return shares[0].claim if shares else None


async def test_a_node_is_claimed_by_one(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    gpu, lab = await store.nodes.add(make_node("gpu")), await store.nodes.add(make_node("lab", id="2"))
    assert await store.claims.free() == {gpu.id: "gpu", lab.id: "lab"}
    claimed = await claim(store, "first", "gpu")
    assert claimed == NodeClaim(node="gpu", node_id=gpu.id, watcher="first", term=1)
    assert await store.claims.free() == {lab.id: "lab"}
    assert await store.claims.count() == {"first": 1}
    assert await store.claims.held("first") == {claimed: False}


async def test_each_claim_raises_the_term(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    terms = [claimed.term for _ in range(3) if (claimed := await claim(store, "first", "gpu"))]
    assert terms == [1, 2, 3]


async def test_who_has_no_place_claims_nothing(store: Store) -> None:
    await store.nodes.add(make_node("gpu"))
    assert await claim(store, "nobody", "gpu") is None


async def test_what_is_given_back_is_free(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    gpu = await store.nodes.add(make_node("gpu"))
    await claim(store, "first", "gpu")
    await store.claims.give("another", [gpu.id])
    assert not await store.claims.free()
    await store.claims.give("first", [gpu.id])
    assert await store.claims.free() == {gpu.id: "gpu"}
    await claim(store, "first", "gpu")
    await store.claims.give("first")
    assert await store.claims.free() == {gpu.id: "gpu"}


async def test_a_link_that_nobody_wants_is_unknown_to_its_new_watcher(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    for number, (name, wanted) in enumerate([("wanted", True), ("left", False)]):
        await store.nodes.add(make_node(name, id=str(number), status="connected"))
        await store.nodes.update(name, wanted=wanted)
        await claim(store, "first", name)
    assert (await store.nodes.get("wanted")).status == "connected"
    assert (await store.nodes.get("left")).status == "unknown"


async def test_what_is_written_under_a_claim_happens_together(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    await store.workspaces.add(make_workspace("web", node="gpu", state="running"))
    claimed = await claim(store, "first", "gpu")

    async def write(*, fails: bool) -> None:
        async with store.transaction(claimed) as state:
            await state.workspaces.update("web", state="unknown")
            await state.events.append("workspace.unknown", "web", "server", {})
            if fails:
                raise RuntimeError("in between")

    with pytest.raises(RuntimeError):
        await write(fails=True)
    assert (await store.workspaces.get("web")).state == "running"
    assert not (await store.events.list()).items
    await write(fails=False)
    assert (await store.workspaces.get("web")).state == "unknown"
    assert [event.subject for event in (await store.events.list()).items] == ["web"]


async def test_an_older_claim_writes_nothing(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu", status="connected"))
    await store.nodes.update("gpu", wanted=True)
    older = await claim(store, "first", "gpu")
    newer = await claim(store, "first", "gpu")
    with pytest.raises(LeaseLost):
        async with store.transaction(older) as state:
            await state.nodes.update("gpu", status="offline")
    assert (await store.nodes.get("gpu")).status == "connected"
    async with store.transaction(newer) as state:
        await state.nodes.update("gpu", status="offline")
    assert (await store.nodes.get("gpu")).status == "offline"


async def test_a_claim_of_a_node_that_was_removed_doesnt_count_for_its_successor(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu", id="old"))
    before = await claim(store, "first", "gpu")
    await store.nodes.remove("gpu")
    await store.nodes.add(make_node("gpu", id="new"))
    await claim(store, "first", "gpu")
    with pytest.raises(LeaseLost):
        async with store.transaction(before):
            pass


async def test_after_a_start_no_link_is_known_to_stand(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    node = await store.nodes.add(make_node("gpu", status="connected"))
    await store.nodes.update("gpu", wanted=True)
    await store.claims.take("first", [node.id], anew=True)
    assert (await store.nodes.get("gpu")).status == "connecting"


async def test_who_looks_for_somebody_borrows_the_claim_until_the_next(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    unwatched = await store.claims.borrow("gpu")
    async with store.transaction(unwatched) as state:
        await state.nodes.update("gpu", reason="seen")
    assert await claim(store, "first", "gpu")
    with pytest.raises(LeaseLost):
        async with store.transaction(unwatched):
            pass
    watched = await store.claims.borrow("gpu")
    assert (watched.watcher, watched.term) == ("first", 1)
    async with store.transaction(watched) as state:
        await state.nodes.update("gpu", reason="seen again")
    assert (await store.nodes.get("gpu")).reason == "seen again"
    with pytest.raises(NodeNotFound):
        await store.claims.borrow("none")
