"""One change on many: told one by one, a few at a time on a node, and going on whatever becomes of who asked."""

import asyncio
from collections import Counter
from typing import Any, cast

import pytest
from tests.unit.coordination.world import ACTOR, ASK, World

from vendetta.coordination.ask import Ask
from vendetta.coordination.commands import Bulk, Submitter
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.nodes.links import NodeLinks
from vendetta.coordination.requests import BulkRequest, WorkspaceBulkRequest
from vendetta.coordination.workspaces.node_slots import AT_ONCE
from vendetta.errors import InvalidInput, NodeNotFound, OutOfResources, UnknownAction
from vendetta.models import BulkResult


@pytest.fixture
async def world(world: World) -> World:
    await world.add_node("a", labels={"zone": "lab"})
    await world.add_node("b")
    return world


@pytest.fixture
def bulk(world: World) -> Bulk:
    cleanup = Cleanup(world.store, world.engines, world.operations, world.workspaces)
    submitter = Submitter(world.workspaces, world.moves, world.draining, cleanup)
    return Bulk(world.store, world.operations, submitter, cast(NodeLinks, None), world.node_changes)


async def change(bulk: Bulk, key: str | None = None, **request: Any) -> list[BulkResult]:
    return [one async for one in bulk.change_workspaces(Ask(ACTOR, key), WorkspaceBulkRequest(**request))]


async def test_each_is_an_operation_and_one_that_fails_holds_nobody_up(world: World, bulk: Bulk) -> None:
    for name in ("one", "two", "three"):
        await world.create(name, node="a")

    async def refuse(verb: str, name: str) -> None:
        if (verb, name) == ("stop", "two"):
            raise OutOfResources("no")

    world.memory["a"].on_call = refuse
    found = {one.name: one for one in await change(bulk, action="stop", names=["one", "two", "absent", "three", "one"])}
    assert {name: one.problem and one.problem.code for name, one in found.items()} == {
        "one": None,
        "two": "out_of_resources",
        "three": None,
        "absent": "workspace_not_found",
    }
    assert found["absent"].operation is None
    assert (found["one"].result or {})["state"] == "stopped"
    operation = await world.operations.get(found["two"].operation or "")
    assert (operation.kind, operation.state, operation.actor) == ("workspace.stop", "failed", ACTOR)


async def test_they_are_chosen_by_label_node_or_all(world: World, bulk: Bulk) -> None:
    await world.create("one", node="a", labels={"team": "red"})
    await world.create("two", node="b", labels={"team": "red", "tier": "web"})
    await world.create("three", node="b")

    async def names(**request: Any) -> set[str]:
        return {one.name for one in await change(bulk, action="start", **request)}

    assert await names(labels={"team": "red"}) == {"one", "two"}
    assert await names(labels={"team": "red", "tier": "web"}) == {"two"}
    assert await names(all=True, node="b") == {"two", "three"}
    assert await names(all=True) == {"one", "two", "three"}
    assert await names(labels={"team": "blue"}) == set()


@pytest.mark.parametrize(
    "request_", [{}, {"names": ["a"], "all": True}, {"labels": {"a": "b"}, "all": True}, {"names": ["a"], "node": "b"}]
)
async def test_an_unclear_choice_is_refused_before_anything_is_done(bulk: Bulk, request_: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await change(bulk, action="start", **request_)


async def test_what_nobody_knows_is_refused(bulk: Bulk) -> None:
    with pytest.raises(UnknownAction, match='Did you mean "restart"'):
        await change(bulk, action="restat", all=True)
    with pytest.raises(InvalidInput, match=r'config\.forse: unknown key\. Did you mean "force"'):
        await change(bulk, action="remove", all=True, config={"forse": True})


async def test_a_node_does_a_few_at_a_time_and_nodes_wait_for_no_other(world: World, bulk: Bulk) -> None:
    names = {node: [f"{node}-{number}" for number in range(AT_ONCE + 3)] for node in ("a", "b")}
    for node, those in names.items():
        await asyncio.gather(*(world.create(name, node=node, start=False) for name in those))
    going: dict[str, set[str]] = {"a": set(), "b": set()}
    most, full, release = Counter[str](), asyncio.Event(), asyncio.Event()

    def count(node: str) -> Any:
        async def on_call(verb: str, name: str) -> None:
            going[node].add(name)
            most[node] = max(most[node], len(going[node]))
            if all(len(those) >= AT_ONCE for those in going.values()):
                full.set()
            await release.wait()
            going[node].discard(name)

        return on_call

    async def told() -> set[str]:
        return {one.progress.message for one in (await world.operations.list()).items if one.progress}

    for node in names:
        world.memory[node].on_call = count(node)
    # whoever asks: some by many, some one by one
    asked = asyncio.create_task(change(bulk, action="start", names=[*names["a"], *names["b"][:4]]))
    singly = [await world.workspaces.change(ASK, "workspace.start", name) for name in names["b"][4:]]
    await asyncio.wait_for(full.wait(), 30)
    # those that are left come to their places a moment later
    waiting = {f"waiting for its turn on {node}" for node in names}
    async with asyncio.timeout(30):
        while not waiting <= await told():
            await asyncio.sleep(0.01)
    release.set()
    assert not any(one.problem for one in await asked)
    assert [(await world.end(one)).state for one in singly] == ["succeeded"] * len(singly)
    assert most == {"a": AT_ONCE, "b": AT_ONCE}


async def test_what_was_asked_for_goes_on_when_the_caller_goes_away(world: World, bulk: Bulk) -> None:
    names = [f"w-{number}" for number in range(40)]
    await asyncio.gather(*(world.create(name, node="a") for name in names))
    results = bulk.change_workspaces(Ask(ACTOR, "key"), WorkspaceBulkRequest(action="stop", names=names))
    first = await anext(results)
    await results.aclose()  # type: ignore[attr-defined]
    # the same key again: the same operations, to their ends
    found = {
        one.name: one
        async for one in bulk.change_workspaces(Ask(ACTOR, "key"), WorkspaceBulkRequest(action="stop", names=names))
    }
    assert found[first.name].operation == first.operation
    assert {name for name, one in found.items() if one.problem is None} == set(names)
    stops = [one for one in (await world.operations.list(limit=1000)).items if one.kind == "workspace.stop"]
    assert len(stops) == len(names)


async def test_nodes_are_changed_without_operations(world: World, bulk: Bulk) -> None:
    request = BulkRequest(action="cordon", names=["a", "nowhere", "b"])
    found = {one.name: one async for one in bulk.change_nodes(ASK, request)}
    told = [(event.subject, event.actor) for event in await world.told("node.cordoned")]
    assert sorted(told) == [("a", ACTOR), ("b", ACTOR)]
    assert (found["a"].result or {})["name"] == "a"
    problem = found["nowhere"].problem
    assert problem
    assert problem.code == NodeNotFound.code
    found = {
        one.name: one async for one in bulk.change_nodes(ASK, BulkRequest(action="cordon", labels={"zone": "lab"}))
    }
    assert set(found) == {"a"}
