"""A node emptied, told workspace by workspace, and taken back into use as it was."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.doubles.memory import MemoryEngines
from tests.unit.coordination.world import ACTOR, ASK, World, open_world

from vendetta.coordination.operations import Steps
from vendetta.coordination.operations import children as asked_for
from vendetta.coordination.requests import DrainRequest, StopRequest
from vendetta.errors import OutOfResources, ServerUnavailable
from vendetta.models import Drained, DrainResult, Operation, Progress

SLEEP = ["sleep", "infinity"]


@pytest.fixture
async def world(world: World) -> World:
    await settle_down(world)
    return world


async def settle_down(world: World) -> None:
    """One node with two that run and one that doesn't, and two that are empty."""
    for name in ("a", "b", "c"):
        await world.add_node(name)
    for name, start in (("one", True), ("two", True), ("idle", False)):
        await world.create(name, node="a", command=SLEEP, start=start)


async def drain(world: World, **request: Any) -> Operation:
    return await world.end(await world.draining.submit(ASK, "a", DrainRequest(**request)))


async def undrain(world: World) -> Operation:
    return await world.end(await world.draining.undrain(ASK, "a"))


def outcomes(operation: Operation) -> dict[str, tuple[str, str | None]]:
    """Of each workspace, and where it went, whether all went well or not."""
    if operation.error:
        found = msgspec.convert(operation.error.details["workspaces"], list[Drained])
    else:
        found = msgspec.convert(operation.result, DrainResult).workspaces
    return {one.name: (one.outcome, one.node) for one in found}


async def states(world: World) -> dict[str, tuple[str, str]]:
    return {one.name: (one.node, one.state) for one in await world.store.workspaces.all()}


async def test_all_are_stopped_and_those_that_ran_start_again(world: World) -> None:
    done = await drain(world)
    assert outcomes(done) == {"idle": ("idle", None), "one": ("stopped", None), "two": ("stopped", None)}
    assert set((await states(world)).values()) == {("a", "stopped")}
    assert (await world.store.nodes.get("a")).cordoned
    assert [one.name for one in await world.store.workspaces.all() if one.drained] == ["one", "two"]
    # a second drain finds nothing to do, and forgets nothing
    assert outcomes(await drain(world))["one"] == ("idle", None)

    back = await undrain(world)
    assert outcomes(back) == {"one": ("started", None), "two": ("started", None)}
    assert await states(world) == {"idle": ("a", "stopped"), "one": ("a", "running"), "two": ("a", "running")}
    assert not (await world.store.nodes.get("a")).cordoned
    assert outcomes(await undrain(world)) == {}
    told = [(event.kind, event.actor) for event in await world.told("node.cordoned", "node.uncordoned")]
    assert told == [("node.cordoned", ACTOR), ("node.uncordoned", ACTOR)]


async def test_what_somebody_did_since_counts(world: World) -> None:
    await drain(world)
    await world.end(await world.workspaces.change(ASK, "workspace.start", "one"))
    await world.end(await world.workspaces.change(ASK, "workspace.stop", "one", StopRequest()))
    assert outcomes(await undrain(world)) == {"two": ("started", None)}
    assert (await world.get("one")).state == "stopped"


async def test_all_are_moved_spread_over_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    monkeypatch.setattr(Steps, "progress", lambda steps, progress: told.append(progress))
    done = await drain(world, move=True)
    # they come in the order of their names, and go to whichever has the most room then
    assert outcomes(done) == {"idle": ("moved", "b"), "one": ("moved", "c"), "two": ("moved", "b")}
    assert await states(world) == {"idle": ("b", "stopped"), "one": ("c", "running"), "two": ("b", "running")}
    assert world.memory["a"].instances == {}
    assert [(one.current, one.total) for one in told if one.total == 3] == [(1, 3), (2, 3), (3, 3)]
    # what was moved stays where it is
    assert outcomes(await undrain(world)) == {}
    assert (await states(world))["one"] == ("c", "running")


async def test_they_are_moved_where_it_is_said(world: World) -> None:
    await world.add_node("lab", labels={"zone": "lab"})
    plan = await world.draining.plan("a", DrainRequest(move=True, to="c"))
    assert {(one.outcome, one.node) for one in plan.workspaces} == {("moved", "c")}
    assert await world.store.workspaces.all(node="a") != []
    assert set(outcomes(await drain(world, move=True, placement={"zone": "lab"})).values()) == {("moved", "lab")}


async def test_what_can_not_be_moved_is_said_before_anything_is_done(world: World) -> None:
    await world.create("data", node="a", command=SLEEP, mounts=[{"source": "/srv", "target": "/data"}])
    before = await states(world)
    refused = await drain(world, move=True)
    assert refused.error
    assert refused.error.code == "wrong_state"
    assert "data can't be moved" in refused.error.detail
    assert "--force" in (refused.error.hint or "")
    assert outcomes(refused) == {"data": ("left", None)}
    assert await states(world) == before
    assert not (await world.store.nodes.get("a")).cordoned

    forced = await drain(world, move=True, force=True)
    assert outcomes(forced)["data"] == ("stopped", None)
    assert outcomes(forced)["one"][0] == "moved"
    [stopped] = [one for one in msgspec.convert(forced.result, DrainResult).workspaces if one.name == "data"]
    assert "would stay behind" in (stopped.note or "")
    assert outcomes(await undrain(world)) == {"data": ("started", None)}


async def test_nowhere_to_go_is_said_before_anything_is_done(world: World) -> None:
    for name in ("b", "c"):
        await world.store.nodes.update(name, status="offline")
    refused = await drain(world, move=True)
    assert refused.error
    assert "no node fits (b: offline; c: offline)" in refused.error.detail
    assert {node for node, _ in (await states(world)).values()} == {"a"}


async def test_one_that_is_left_is_named_and_holds_nobody_up(world: World) -> None:
    async def refuse(verb: str, name: str) -> None:
        if (verb, name) == ("stop", "one"):
            raise OutOfResources("it won't end")

    world.memory["a"].on_call = refuse
    failed = await drain(world)
    assert failed.error
    assert failed.state == "failed"
    assert "1 of 3 workspaces are left as they are (one: it won't end" in failed.error.detail
    assert outcomes(failed) == {"idle": ("idle", None), "one": ("left", None), "two": ("stopped", None)}
    assert (await world.store.nodes.get("a")).cordoned
    assert (await states(world))["one"] == ("a", "running")


@pytest.mark.parametrize("move", [False, True])
async def test_killed_in_the_middle_it_goes_on(tmp_path: Path, memory: MemoryEngines, move: bool) -> None:
    reached = asyncio.Event()

    async def hang(verb: str, name: str) -> None:
        if name == "one" and verb in ("stop", "export"):
            reached.set()
            await asyncio.Event().wait()

    async with open_world(tmp_path, memory) as world:
        await settle_down(world)
        memory["a"].on_call = hang
        operation = await world.draining.submit(ASK, "a", DrainRequest(move=move))
        await asyncio.wait_for(reached.wait(), 30)

    async def at_once(verb: str, name: str) -> None: ...

    memory["a"].on_call = at_once
    async with open_world(tmp_path, memory) as world:
        done = await world.operations.wait(operation.id, 30)
        assert done.error is None
        found = outcomes(done)
        assert {name: outcome for name, (outcome, _) in found.items()} == (
            {"idle": "moved", "one": "moved", "two": "moved"}
            if move
            else {"idle": "idle", "one": "stopped", "two": "stopped"}
        )
        kinds = [one.kind for one in (await world.operations.list(limit=100)).items if one.kind != "workspace.create"]
        assert sorted(kinds) == ["node.drain", *(["workspace.move"] * 3 if move else ["workspace.stop"] * 2)]
    held = [name for node in ("a", "b", "c") for name in memory[node].instances]
    assert sorted(held) == ["idle", "one", "two"]


async def test_cancelled_it_stops_what_it_can(world: World) -> None:
    reached = asyncio.Event()

    async def hang(verb: str, name: str) -> None:
        if (verb, name) == ("stop", "one"):
            reached.set()
            await asyncio.Event().wait()

    world.memory["a"].on_call = hang
    operation = await world.draining.submit(ASK, "a", DrainRequest())
    await asyncio.wait_for(reached.wait(), 30)
    await world.operations.cancel(operation.id)
    assert (await world.end(operation)).state == "cancelled"
    [stop] = [one for one in (await world.operations.list(target="one")).items if one.kind == "workspace.stop"]
    assert (await world.end(stop)).state == "cancelled"
    assert (await states(world))["one"] == ("a", "running")
    assert (await world.store.nodes.get("a")).cordoned


async def test_a_server_that_stops_is_not_what_came_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_for, "AGAIN_SECONDS", 0.01)
    wait, left = world.operations.wait, {"one": 3, "two": 1}

    async def stopping(id: str, timeout_seconds: float | None) -> Operation:
        operation = await wait(id, timeout_seconds)
        if left.get(operation.target, 0):
            left[operation.target] -= 1
            raise ServerUnavailable("the server stops before")
        return operation

    operation = await world.draining.submit(ASK, "a", DrainRequest())
    monkeypatch.setattr(world.operations, "wait", stopping)
    assert outcomes(await wait(operation.id, 30))["one"] == ("stopped", None)
    assert left == {"one": 0, "two": 0}
