import pytest
from tests.unit.store.samples import LONG_AGO, make_workspace

from vendetta.errors import NameTaken, WorkspaceNotFound
from vendetta.models import InstanceSpec
from vendetta.store import Committed, Store


async def test_what_is_added_is_got_back_the_same(store: Store) -> None:
    workspace = make_workspace("web")
    await store.workspaces.add(workspace)
    assert await store.workspaces.get("web") == workspace


async def test_a_name_is_taken_once(store: Store) -> None:
    await store.workspaces.add(make_workspace("web"))
    with pytest.raises(NameTaken):
        await store.workspaces.add(make_workspace("web", id="another"))


async def test_an_unknown_name_is_told_with_the_nearest(store: Store) -> None:
    await store.workspaces.add(make_workspace("webshop"))
    for call in (store.workspaces.get, store.workspaces.update, store.workspaces.remove):
        with pytest.raises(WorkspaceNotFound) as caught:
            await call("webshup")
        assert caught.value.hint == 'Did you mean "webshop"?'
    with pytest.raises(WorkspaceNotFound) as caught:
        await store.workspaces.get("entirely-different")
    assert "vendetta workspace list" in (caught.value.hint or "")


async def test_since_dates_the_state_alone(store: Store) -> None:
    await store.workspaces.add(make_workspace("web", state="running"))
    assert (await store.workspaces.update("web", reason="fine", observed_at=LONG_AGO)).since == LONG_AGO
    assert (await store.workspaces.update("web", state="stopped")).since > LONG_AGO


async def test_lists_and_all_are_filtered(store: Store) -> None:
    await store.workspaces.add(make_workspace("a", node="one", state="running"))
    await store.workspaces.add(make_workspace("b", node="two", provider="lxc", labels={"team": "blue"}))
    await store.workspaces.add(make_workspace("c", node="two"))
    workspaces = store.workspaces

    assert [found.name for found in (await workspaces.list(node="two")).items] == ["b", "c"]
    assert [found.name for found in (await workspaces.list(node="two", provider="lxc")).items] == ["b"]
    assert [found.name for found in (await workspaces.list(state="running")).items] == ["a"]
    assert [found.name for found in (await workspaces.list(labels={"team": "blue"})).items] == ["b"]
    page = await workspaces.list(limit=2)
    assert [found.name for found in (await workspaces.list(limit=2, cursor=page.next_cursor)).items] == ["c"]
    assert [found.name for found in await workspaces.all(node="two", provider="docker")] == ["c"]
    assert await workspaces.count() == 3


async def test_a_removed_workspace_frees_its_name(store: Store) -> None:
    await store.workspaces.add(make_workspace("web"))
    await store.workspaces.remove("web")
    await store.workspaces.add(make_workspace("web", id="another"))


async def test_what_is_promised_is_counted_by_node(store: Store) -> None:
    for name, node, state, spec in (
        ("a", "one", "running", InstanceSpec(image="x", memory_bytes=2**30, cpus=0.5)),
        ("b", "one", "stopped", InstanceSpec(image="x", memory_bytes=2**31, cpus=2)),
        ("c", "one", "removing", InstanceSpec(image="x", memory_bytes=2**40)),
        ("d", "two", "running", InstanceSpec(image="x")),
    ):
        await store.workspaces.add(make_workspace(name, node=node, state=state, spec=spec))
    one, two = Committed(workspaces=2, cpus=2.5, memory_bytes=3 * 2**30), Committed(workspaces=1)
    assert await store.workspaces.promised(without={"removing"}) == {"one": one, "two": two}
    assert await store.workspaces.promised(["two", "three"]) == {"two": two}
    await store.workspaces.update("b", spec=InstanceSpec(image="x", memory_bytes=2**20))
    one = Committed(workspaces=2, cpus=0.5, memory_bytes=2**30 + 2**20)
    assert await store.workspaces.promised(["one"], without={"removing"}) == {"one": one}


async def test_those_in_none_of_some_states_are_found_by_node(store: Store) -> None:
    for name, node, state in (("a", "one", "running"), ("b", "one", "unknown"), ("c", "two", "running")):
        await store.workspaces.add(make_workspace(name, node=node, state=state))
    assert [found.name for found in await store.workspaces.others("one", without={"unknown", "creating"})] == ["a"]
    assert await store.workspaces.others("one", without={"unknown", "running"}) == []
    assert sorted(await store.workspaces.kinds_by_node()) == [("one", "docker"), ("two", "docker")]
