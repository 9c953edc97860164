"""Just after the server began: where it isn't known yet what can be reached, nothing is refused for that."""

import asyncio

import pytest
from tests.unit.coordination.world import ACTOR, World

from vendetta.coordination import first_try
from vendetta.coordination.requests import DrainRequest, MoveRequest
from vendetta.models import Operation


@pytest.fixture
async def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """With a workspace on a node, and another node that is being tried."""
    monkeypatch.setattr(first_try, "LOOK_SECONDS", 0.01)
    await world.add_node("a")
    await world.create("web", command=["sleep", "infinity"])
    await world.add_node("b", status="connecting")
    return world


async def ends(world: World, operation: Operation, monkeypatch: pytest.MonkeyPatch, **node: str) -> Operation:
    """How, where `b` becomes so after it was refused twice."""
    refusals = 0
    choose_anew = asyncio.sleep

    async def looked(seconds: float) -> None:
        nonlocal refusals
        refusals += seconds == first_try.LOOK_SECONDS
        if refusals == 2:
            await world.store.nodes.update("b", **node)
        await choose_anew(seconds)

    monkeypatch.setattr(asyncio, "sleep", looked)
    ended = await world.end(operation)
    assert refusals >= 2
    return ended


async def test_a_node_that_is_being_tried_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = await world.moves.submit("web", MoveRequest(), ACTOR)
    assert (await ends(world, operation, monkeypatch, status="connected")).error is None
    assert (await world.get("web")).node == "b"


async def test_one_that_can_not_be_reached_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = await world.draining.submit("a", DrainRequest(move=True), ACTOR)
    ended = await ends(world, operation, monkeypatch, reason="nobody answers")
    assert ended.error
    assert "no node fits (b: connecting)" in ended.error.detail
    # known to be away: that is said at once
    await world.store.nodes.update("a", cordoned=True)
    refused = await world.create("new")
    assert refused.error
    assert refused.error.details["nodes"] == {"a": "cordoned", "b": "connecting"}


async def test_a_workspace_is_placed_once_there_is_a_node(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.store.nodes.update("a", status="offline", reason="silent")
    operation = await world.submit("new")
    assert (await ends(world, operation, monkeypatch, status="connected")).error is None
    assert (await world.get("new")).node == "b"
