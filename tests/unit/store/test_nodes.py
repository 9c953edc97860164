from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.store.samples import LONG_AGO, make_node

from vendetta.errors import NameTaken, NodeNotFound
from vendetta.store import Store


async def test_what_is_added_is_got_back_the_same(store: Store) -> None:
    full, bare = make_node("gpu"), make_node("bare", host_key=None, resources=None, last_seen=None, providers={})
    for node in (full, bare):
        await store.nodes.add(node)
        assert await store.nodes.get(node.name) == node


async def test_a_name_is_taken_once(store: Store) -> None:
    await store.nodes.add(make_node("gpu"))
    with pytest.raises(NameTaken) as caught:
        await store.nodes.add(make_node("gpu", id="another"))
    assert "remove gpu" in (caught.value.hint or "")


async def test_the_nearest_name_is_the_hint_for_an_unknown_one(store: Store) -> None:
    await store.nodes.add(make_node("gpu-lab"))
    for call in (store.nodes.get, store.nodes.update, store.nodes.remove):
        with pytest.raises(NodeNotFound) as caught:
            await call("gpu-lap")
        assert caught.value.hint == 'Did you mean "gpu-lab"?'
        assert caught.value.details == {"node": "gpu-lap"}


async def test_since_dates_the_status_alone(store: Store) -> None:
    await store.nodes.add(make_node("gpu", status="connected"))
    same = await store.nodes.update("gpu", status="connected", reason="again", labels={"zone": "dc"})
    assert (same.since, same.reason, same.labels) == (LONG_AGO, "again", {"zone": "dc"})
    changed = await store.nodes.update("gpu", status="offline")
    assert datetime.now(UTC) - changed.since < timedelta(minutes=1)
    assert await store.nodes.get("gpu") == changed


async def test_structured_fields_can_be_emptied(store: Store) -> None:
    await store.nodes.add(make_node("gpu"))
    assert (await store.nodes.update("gpu", host_key=None, resources=None)).host_key is None


async def test_a_removed_node_is_gone(store: Store) -> None:
    await store.nodes.add(make_node("gpu"))
    await store.nodes.remove("gpu")
    with pytest.raises(NodeNotFound):
        await store.nodes.get("gpu")


async def test_pages_hold_each_node_once_also_when_nodes_come_and_go(store: Store) -> None:
    for number in range(5):
        await store.nodes.add(make_node(f"n{number}"))
    first = await store.nodes.list(limit=2)
    await store.nodes.remove("n1")
    await store.nodes.add(make_node("a-newcomer"))
    second = await store.nodes.list(limit=2, cursor=first.next_cursor)
    last = await store.nodes.list(limit=2, cursor=second.next_cursor)
    assert [node.name for page in (first, second, last) for node in page.items] == ["n0", "n1", "n2", "n3", "n4"]
    assert last.next_cursor is None
    assert len(await store.nodes.all()) == await store.nodes.count() == 5


async def test_lists_are_filtered_by_status_and_by_every_label(store: Store) -> None:
    odd = {"example.com/a b": 'x"y'}
    await store.nodes.add(make_node("one", labels={"zone": "lab", **odd}, status="connected"))
    await store.nodes.add(make_node("two", labels={"zone": "lab"}, status="offline"))
    await store.nodes.add(make_node("three", labels={}, status="connected"))
    assert [node.name for node in (await store.nodes.list(labels={"zone": "lab"})).items] == ["one", "two"]
    assert [node.name for node in (await store.nodes.list(labels={"zone": "lab", **odd})).items] == ["one"]
    assert [node.name for node in (await store.nodes.list(labels={"zone": "lab"}, status="offline")).items] == ["two"]
