"""Leases end by PostgreSQL's clock; whose is over is nobody's neighbour any more, and may not claim."""

import asyncio

import pytest
from tests.unit.store.samples import make_node
from tests.unit.store.test_claims import LEASE_SECONDS, OVER, claim, make_replica

from vendetta.store import LeaseLost, Store, claims


async def test_who_lives_is_told_with_what_is_left(store: Store) -> None:
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    peers = {peer.id: peer for peer in await store.replicas.join(make_replica("second"), LEASE_SECONDS)}
    assert peers.keys() == {"first", "second"}
    assert all(peer.watches and 0 < (peer.seconds or 0) <= LEASE_SECONDS for peer in peers.values())
    assert [replica.id for replica in await store.replicas.list()] == ["first", "second"]


async def test_a_lease_that_is_over_is_not_renewed(store: Store) -> None:
    await store.replicas.join(make_replica("first"), OVER)
    assert await store.replicas.renew("first", LEASE_SECONDS, watches=True) is None
    assert await store.replicas.list() == []
    assert [peer.id for peer in await store.replicas.join(make_replica("first"), LEASE_SECONDS)] == ["first"]
    assert await store.replicas.renew("first", LEASE_SECONDS, watches=False) is not None


async def test_who_left_is_gone_at_once(store: Store) -> None:
    for replica in ("first", "second"):
        await store.replicas.join(make_replica(replica), LEASE_SECONDS)
    await store.replicas.leave("first")
    peers = await store.replicas.renew("second", LEASE_SECONDS, watches=True)
    assert peers is not None
    assert [peer.id for peer in peers] == ["second"]


async def test_a_living_replicas_node_is_not_taken(store: Store) -> None:
    for replica in ("first", "second"):
        await store.replicas.join(make_replica(replica), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    assert await claim(store, "first", "gpu")
    assert await claim(store, "second", "gpu") is None


async def test_a_dead_ones_is_and_what_it_writes_afterwards_is_refused(store: Store) -> None:
    await store.replicas.join(make_replica("second"), LEASE_SECONDS)
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    before = await claim(store, "first", "gpu")
    await store.replicas.leave("first")
    assert await claim(store, "second", "gpu")
    with pytest.raises(LeaseLost):
        async with store.transaction(before):
            pass


async def test_of_two_that_want_a_free_node_one_gets_it(store: Store, state_file: str) -> None:
    await store.nodes.add(make_node("gpu"))
    for replica in ("first", "second"):
        await store.replicas.join(make_replica(replica), LEASE_SECONDS)
    async with Store.open(state_file) as other:
        for _ in range(20):
            claims = await asyncio.gather(claim(store, "first", "gpu"), claim(other, "second", "gpu"))
            (winner,) = [claimed for claimed in claims if claimed]
            await store.claims.give(winner.watcher)


async def test_a_claim_waits_for_what_is_being_written_under_the_one_before(store: Store, state_file: str) -> None:
    """Then it sees it: nothing is written under a claim after the next one was given."""
    await store.replicas.join(make_replica("second"), LEASE_SECONDS)
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    first = await claim(store, "first", "gpu")
    async with Store.open(state_file) as other:
        async with store.transaction(first) as state:
            await store.replicas.leave("first")
            second = asyncio.create_task(claim(other, "second", "gpu"))
            done, _ = await asyncio.wait([second], timeout=0.3)
            assert not done
            await state.nodes.update("gpu", reason="the last word")
        assert await second
        assert (await other.nodes.get("gpu")).reason == "the last word"


async def test_what_is_borrowed_ends_by_the_databases_clock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was paused since it looked writes nothing, although the watcher is still the same."""
    await store.replicas.join(make_replica("first"), LEASE_SECONDS)
    await store.nodes.add(make_node("gpu"))
    assert await claim(store, "first", "gpu")
    async with store.transaction(await store.claims.borrow("gpu")) as state:
        await state.nodes.update("gpu", reason="in time")
    monkeypatch.setattr(claims, "BORROWED_SECONDS", 0.0)
    with pytest.raises(LeaseLost):
        async with store.transaction(await store.claims.borrow("gpu")):
            pass
