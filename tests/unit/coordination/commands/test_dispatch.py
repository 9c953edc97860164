"""Commands that are dispatched: what is refused before anything is done, and what becomes an operation."""

from typing import Any

import pytest
from tests.unit.coordination.world import ACTOR, ASK, World

from vendetta.coordination.ask import Ask
from vendetta.coordination.changes import CHANGES
from vendetta.coordination.commands import Dispatcher, Submitter
from vendetta.coordination.commands.actions import ACTIONS, ASKING
from vendetta.coordination.nodes.cleanup import Cleanup
from vendetta.coordination.requests import CommandRequest
from vendetta.errors import Unsupported


@pytest.fixture
async def dispatcher(world: World) -> Dispatcher:
    await world.add_node("a")
    await world.add_node("b")
    cleanup = Cleanup(world.store, world.engines, world.operations, world.workspaces)
    submitter = Submitter(world.workspaces, world.moves, world.draining, cleanup)
    return Dispatcher(world.store, world.engines, world.operations, world.workspaces, submitter)


def build(action: str, **fields: Any) -> CommandRequest:
    return CommandRequest(action=action, provider="memory", **fields)


def test_every_action_is_a_change_or_asks() -> None:
    assert {name for name, action in ACTIONS.items() if action.change is None} == set(ASKING)
    assert {action.change for action in ACTIONS.values()} - {None} <= set(CHANGES)


async def test_services_are_refused_rather_than_ignored(world: World, dispatcher: Dispatcher) -> None:
    command = build("up", workspace="web", config={"image": "busybox"}, services=[{"name": "db"}])
    for ask in (dispatcher.execute, dispatcher.submit):
        with pytest.raises(Unsupported) as refused:
            await ask(ASK, "a", command)
        assert "services" in refused.value.message
        assert refused.value.hint
    assert (await world.operations.list()).items == []


async def test_a_command_without_services_is_performed_and_the_workspace_says_that_it_has_none(
    world: World, dispatcher: Dispatcher
) -> None:
    made = await dispatcher.execute(ASK, "a", build("up", workspace="web", config={"image": "busybox"}, services=[]))
    assert (made.success, made.metadata["state"], made.metadata["services"]) == (True, "running", [])
    for action, state in (("stop", "stopped"), ("start", "running"), ("restart", "running"), ("down", "stopped")):
        done = await dispatcher.execute(ASK, "a", build(action, workspace="web"))
        assert (done.success, done.metadata["state"]) == (True, state)
    elsewhere = await dispatcher.execute(ASK, "b", build("start", workspace="web"))
    assert (elsewhere.success, "is on node a" in (elsewhere.error or "")) == (False, True)
    assert (await dispatcher.execute(ASK, "a", build("remove", workspace="web"))).success
    kinds = {one.kind for one in (await world.operations.list()).items}
    assert kinds == {f"workspace.{verb}" for verb in ("create", "start", "stop", "restart", "remove")}


async def test_what_is_submitted_has_the_commands_time_for_its_deadline(world: World, dispatcher: Dispatcher) -> None:
    command = build("create", workspace="web", config={"image": "busybox"}, timeout_seconds=60)
    operation = await dispatcher.submit(Ask(ACTOR, "key"), "a", command)
    assert operation.deadline is not None
    assert (operation.deadline - operation.created_at).total_seconds() == 60
    assert (await dispatcher.submit(Ask(ACTOR, "key"), "a", command)).id == operation.id
    assert (await world.end(operation)).state == "succeeded"


@pytest.mark.parametrize("kind", ["workspace.move", "node.drain", "node.undrain", "workspace.start"])
async def test_a_change_has_the_deadline_that_is_asked_for_or_else_its_own(world: World, kind: str) -> None:
    await world.add_node("a")
    await world.add_node("b")
    await world.create("web", node="a")
    cleanup = Cleanup(world.store, world.engines, world.operations, world.workspaces)
    submitter = Submitter(world.workspaces, world.moves, world.draining, cleanup)
    target = "web" if kind.startswith("workspace") else "a"
    own = CHANGES[kind].deadline_seconds or 3600
    for asked, seconds in ((60, 60), (None, own)):
        ask = Ask(ACTOR, deadline_seconds=asked)
        operation = await submitter.submit(ask, kind, target, CHANGES[kind].request())
        assert operation.deadline is not None
        assert (operation.deadline - operation.created_at).total_seconds() == seconds
        await world.end(operation)
