"""A workspace taken to another node: whole, once, and back again whatever goes wrong on the way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.memory import MemoryEngines
from tests.unit.coordination.world import ACTOR, ASK, World, open_world

from vendetta.coordination.requests import MoveRequest
from vendetta.errors import ConnectionLost, OutOfResources, WrongState
from vendetta.models import Operation, ProviderStatus

DISK = b"what it held"
SLEEP = ["sleep", "infinity"]


@pytest.fixture
async def world(world: World) -> World:
    await settle_down(world)
    return world


async def settle_down(world: World, *, start: bool = True, **fields: Any) -> None:
    """Two nodes, and a workspace on the first of them."""
    await world.add_node("a")
    await world.add_node("b")
    await world.create("web", node="a", start=start, command=SLEEP, **fields)
    world.memory["a"].instances["web"].disk = DISK


async def move(world: World, name: str = "web", **request: Any) -> Operation:
    return await world.end(await world.moves.submit(ASK, name, MoveRequest(**request)))


def standing(memory: MemoryEngines) -> dict[str, str]:
    """By node: the state of the one that is there."""
    nodes = {name: memory[name].instances.get("web") for name in ("a", "b")}
    return {name: instance.shown.state for name, instance in nodes.items() if instance}


async def test_one_that_runs_runs_there_with_what_it_held(world: World) -> None:
    done = await move(world, node="b")
    assert done.error is None
    assert (done.result or {})["left_behind"] is None
    workspace = await world.get("web")
    assert (workspace.node, workspace.state, workspace.address) == ("b", "running", "10.0.0.1")
    assert standing(world.memory) == {"b": "running"}
    assert world.memory["b"].instances["web"].disk == DISK
    [told] = await world.told("workspace.moved")
    assert (told.subject, told.actor, told.data["source"], told.data["destination"]) == ("web", ACTOR, "a", "b")
    # and back again
    assert (await move(world)).error is None
    assert ((await world.get("web")).node, standing(world.memory)) == ("a", {"a": "running"})
    assert world.memory["a"].instances["web"].disk == DISK


async def test_one_that_stands_still_stands_still_there(world: World) -> None:
    await world.end(await world.workspaces.change(ASK, "workspace.start", "web"))
    await world.create("still", node="a", start=False)
    assert (await move(world, "still")).error is None
    still = await world.get("still")
    assert (still.node, still.state) == ("b", "stopped")


async def test_where_it_is_already_nothing_happens(world: World) -> None:
    done = await move(world, node="a")
    assert (done.error, standing(world.memory)) == (None, {"a": "running"})
    assert await world.told("workspace.moved") == []


async def test_a_node_whose_back_end_takes_none_in_is_not_chosen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = world.engines.registry
    powers = registry.capabilities("memory")
    monkeypatch.setattr(
        registry, "capabilities", lambda kind, version=None: powers - {"move"} if version == "plain 1" else powers
    )
    await world.store.nodes.update("b", providers={"memory": ProviderStatus(state="healthy", version="plain 1")})
    done = await move(world, node="b")
    assert done.error is not None
    assert done.error.code == OutOfResources.code
    assert standing(world.memory) == {"a": "running"}


async def test_it_goes_where_there_is_room_and_nowhere_else(world: World) -> None:
    await world.store.nodes.update("b", cordoned=True)
    with pytest.raises(WrongState, match="node b is cordoned"):
        await move(world, node="b")
    refused = await move(world)
    assert refused.error
    assert refused.error.details["nodes"] == {"b": "cordoned"}
    resources = (await world.store.nodes.get("a")).resources
    assert resources
    await world.add_node("arm", resources=type(resources)(**{**_fields(resources), "arch": "aarch64"}))
    await world.add_node("lab", labels={"zone": "lab"})
    assert (await move(world, placement={"zone": "lab"})).error is None
    assert (await world.get("web")).node == "lab"
    assert standing(world.memory) == {}


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


async def test_what_would_be_left_behind_keeps_it_where_it_is(tmp_path: Path, memory: MemoryEngines) -> None:
    async with open_world(tmp_path, memory) as world:
        await settle_down(world, mounts=[{"source": "/srv", "target": "/data"}])
        refused = await move(world)
        assert refused.error
        assert (refused.error.code, standing(memory)) == ("unsupported", {"a": "running"})
        assert (await world.get("web")).state == "running"


@pytest.mark.parametrize(
    ("node", "verb"), [("a", "stop"), ("a", "export"), ("b", "import"), ("b", "start"), ("b", "ends at once")]
)
async def test_what_fails_goes_back(world: World, node: str, verb: str) -> None:
    async def fail(called: str, name: str) -> None:
        if called == verb:
            raise OutOfResources("the disk is full")
        if verb == "ends at once" and called == "start":
            world.memory["b"].instances["web"].start = lambda: None  # type: ignore[method-assign]

    world.memory[node].on_call = fail
    failed = await move(world)
    assert failed.error
    assert failed.state == "failed"
    workspace = await world.get("web")
    assert (workspace.node, workspace.state, standing(world.memory)) == ("a", "running", {"a": "running"})
    assert world.memory["a"].instances["web"].disk == DISK


async def test_never_two_run_though_nobody_knows_what_became_of_the_new_one(world: World) -> None:
    """The link is lost as it is started: it may run by now, so that the old one is left as it is."""

    async def lose(called: str, name: str) -> None:
        if called == "start":
            world.memory["b"].instances["web"].start()
            world.engines.down.add("b")
            raise ConnectionLost("the link to node b was lost", node="b")

    world.memory["b"].on_call = lose
    operation = await world.moves.submit(ASK, "web", MoveRequest(node="b"))
    async for seen in world.operations.watch(operation.id):
        if "b" in world.engines.down and seen.state == "running":
            await world.operations.cancel(operation.id)
    failed = await world.end(operation)
    assert failed.error
    assert "isn't started again on node a either" in failed.error.detail
    workspace = await world.get("web")
    assert (workspace.node, workspace.state, standing(world.memory)) == (
        "a",
        "stopped",
        {"a": "stopped", "b": "running"},
    )


async def test_an_old_one_that_can_not_be_removed_is_told(world: World) -> None:
    async def fail(called: str, name: str) -> None:
        if called == "remove":
            raise OutOfResources("no")

    world.memory["a"].on_call = fail
    done = await move(world)
    assert done.error is None
    assert "still on node a" in (done.result or {})["left_behind"]
    assert ((await world.get("web")).node, standing(world.memory)) == ("b", {"a": "stopped", "b": "running"})
    [told] = await world.told("workspace.left_behind")
    assert told.data["node"] == "a"


POINTS = [("a", "stop"), ("a", "export"), ("b", "import"), ("b", "start"), ("a", "remove")]


@pytest.mark.parametrize(("node", "verb"), POINTS)
async def test_killed_in_the_middle_it_goes_on(tmp_path: Path, memory: MemoryEngines, node: str, verb: str) -> None:
    reached, most = asyncio.Event(), 0

    async def watch(called: str, name: str) -> None:
        nonlocal most
        most = max(most, list(standing(memory).values()).count("running"))

    async def hang(called: str, name: str) -> None:
        await watch(called, name)
        if called == verb:
            reached.set()
            await asyncio.Event().wait()

    async with open_world(tmp_path, memory) as world:
        await settle_down(world)
        memory["a"].on_call = memory["b"].on_call = watch
        memory[node].on_call = hang
        operation = await world.moves.submit(ASK, "web", MoveRequest())
        await asyncio.wait_for(reached.wait(), 30)
    memory[node].on_call = watch
    async with open_world(tmp_path, memory) as world:
        done = await world.operations.wait(operation.id, 30)
        assert (done.state, done.attempts) == ("succeeded", 2)
        assert ((await world.get("web")).node, (await world.get("web")).state) == ("b", "running")
    assert standing(memory) == {"b": "running"}
    assert memory["b"].instances["web"].disk == DISK
    assert most == 1


@pytest.mark.parametrize(("node", "verb"), POINTS[:-1])
async def test_cancelled_it_goes_back(world: World, node: str, verb: str) -> None:
    reached = asyncio.Event()

    async def hang(called: str, name: str) -> None:
        if called == verb and not reached.is_set():
            reached.set()
            await asyncio.Event().wait()

    world.memory[node].on_call = hang
    operation = await world.moves.submit(ASK, "web", MoveRequest())
    await asyncio.wait_for(reached.wait(), 30)
    await world.operations.cancel(operation.id)
    assert (await world.end(operation)).state == "cancelled"
    assert ((await world.get("web")).node, standing(world.memory)) == ("a", {"a": "running"})


async def test_what_somebody_else_made_there_is_left_alone(world: World) -> None:
    await world.create("other", node="b", command=SLEEP)
    theirs = world.memory["b"].instances["web"] = world.memory["b"].instances.pop("other")
    failed = await move(world)
    assert failed.error
    assert failed.error.code == "name_taken"
    assert world.memory["b"].instances["web"] is theirs
    assert theirs.running
    assert standing(world.memory)["a"] == "running"
