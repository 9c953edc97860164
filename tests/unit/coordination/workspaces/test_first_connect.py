"""Just after the server began: where it isn't known yet what can be reached, nothing is refused for that."""

import asyncio

import pytest
from tests.unit.coordination.world import ASK, World

from vendetta.coordination.operations.link_waiters import pause
from vendetta.coordination.requests import DrainRequest, MoveRequest
from vendetta.coordination.workspaces import first_connect as first_try
from vendetta.models import Operation


@pytest.fixture
async def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """With a workspace on a node, and another node that is being tried; nothing is looked at that isn't told."""
    monkeypatch.setattr(first_try, "LOOK_SECONDS", 3600.0)
    await world.add_node("a")
    await world.create("web", command=["sleep", "infinity"])
    await world.add_node("b", status="connecting")
    return world


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once `b` was refused, and is waited for."""
    refused = asyncio.Event()

    async def paused(seconds: float, heard: asyncio.Event) -> None:
        refused.set()
        await pause(seconds, heard)

    monkeypatch.setattr(first_try, "pause", paused)
    return refused


async def ends(world: World, operation: Operation, refused: asyncio.Event, **node: str) -> Operation:
    """How, where `b` becomes so after it was refused."""
    await asyncio.wait_for(refused.wait(), 30)
    await world.store.nodes.update("b", **node)
    await world.events.emit("node.tried", "b")
    return await world.end(operation)


async def test_a_node_that_is_being_tried_is_waited_for(world: World, refused: asyncio.Event) -> None:
    operation = await world.moves.submit(ASK, "web", MoveRequest())
    assert (await ends(world, operation, refused, status="connected")).error is None
    assert (await world.get("web")).node == "b"


async def test_one_that_can_not_be_reached_is_not(world: World, refused: asyncio.Event) -> None:
    operation = await world.draining.submit(ASK, "a", DrainRequest(move=True))
    ended = await ends(world, operation, refused, reason="nobody answers")
    assert ended.error
    assert "no node fits (b: connecting)" in ended.error.detail
    # known to be away: that is said at once
    await world.store.nodes.update("a", cordoned=True)
    at_once = await world.create("new")
    assert at_once.error
    assert at_once.error.details["nodes"] == {"a": "cordoned", "b": "connecting"}


async def test_a_workspace_is_placed_once_there_is_a_node(world: World, refused: asyncio.Event) -> None:
    await world.store.nodes.update("a", status="offline", reason="silent")
    operation = await world.submit("new")
    assert (await ends(world, operation, refused, status="connected")).error is None
    assert (await world.get("new")).node == "b"
