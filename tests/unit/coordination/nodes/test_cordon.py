"""A cordoned node gets nothing new, however it is asked for; what is there goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.coordination.world import ACTOR, ASK, World

from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import WorkspaceRequest
from vendetta.errors import WrongState


@pytest.fixture
async def world(world: World) -> World:
    await world.add_node("a")
    await world.add_node("b")
    return world


async def test_a_cordoned_node_is_not_chosen(world: World) -> None:
    await world.store.nodes.update("a", cordoned=True)
    for name in ("one", "two", "three"):
        await world.create(name)
    assert {(await world.get(name)).node for name in ("one", "two", "three")} == {"b"}
    await world.store.nodes.update("b", cordoned=True)
    failed = await world.create("four")
    assert failed.error
    assert (failed.error.code, failed.error.details["nodes"]) == (
        "out_of_resources",
        {"a": "cordoned", "b": "cordoned"},
    )
    assert "vendetta node uncordon a" in (failed.error.hint or "")


async def test_to_name_it_does_not_open_it(world: World) -> None:
    await world.create("before", node="a")
    await world.store.nodes.update("a", cordoned=True)
    with pytest.raises(WrongState, match="node a is cordoned") as caught:
        await world.create("web", node="a")
    assert "vendetta node uncordon a" in (caught.value.hint or "")
    # what is there can be used as before
    assert (await world.end(await world.workspaces.change(ASK, "workspace.start", "before"))).state == "succeeded"


async def test_a_node_cordoned_after_it_was_chosen_gets_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cordons it may have looked at its workspaces just before there was a record."""
    exclusive = world.store.exclusive

    @asynccontextmanager
    async def cordon_first(name: str) -> AsyncIterator[None]:
        async with exclusive(name):
            await world.store.nodes.update("a", cordoned=True)
            yield

    monkeypatch.setattr(world.store, "exclusive", cordon_first)
    failed = await world.create("web", node="a")
    assert failed.error
    assert failed.error.code == "wrong_state"
    assert await world.store.workspaces.all() == []
    assert world.memory["a"].instances == {}


async def test_a_repeated_request_is_answered_though_the_node_was_cordoned_since(world: World) -> None:
    request = WorkspaceRequest(name="web", provider="memory", image="busybox", node="a")
    first = await world.workspaces.create(Ask(ACTOR, "key"), request)
    await world.end(first)
    await world.store.nodes.update("a", cordoned=True)
    assert (await world.workspaces.create(Ask(ACTOR, "key"), request)).id == first.id
