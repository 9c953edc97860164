from vendetta.store import Store


async def test_events_are_numbered_and_paged(store: Store) -> None:
    assert await store.events.last() == 0
    added = [await store.events.append("node.connected", f"n{number}", "server", {"n": number}) for number in range(5)]
    assert [event.sequence for event in added] == [1, 2, 3, 4, 5]
    first = await store.events.list(limit=3)
    assert first.items == added[:3]
    assert (await store.events.list(since=int(first.next_cursor or 0))).items == added[3:]
    assert await store.events.last() == 5


async def test_a_number_is_never_given_twice(store: Store) -> None:
    for _ in range(3):
        await store.events.append("a.b", "x", "server", {})
    assert await store.events.prune(keep=0) == 3
    assert (await store.events.append("a.b", "x", "server", {})).sequence == 4


async def test_pruning_keeps_the_newest(store: Store) -> None:
    for _ in range(5):
        await store.events.append("a.b", "x", "server", {})
    assert await store.events.forgotten() == 0
    assert await store.events.prune(keep=2) == 3
    assert await store.events.forgotten() == 3
    assert [event.sequence for event in (await store.events.list()).items] == [4, 5]
    assert await store.events.prune(keep=10) == 0
    assert await store.events.forgotten() == 3
