"""What is seen of workspaces is written and told once; what is seen late never wins over what is true."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.memory import MemoryEngine, MemoryProvider
from tests.unit.store.samples import make_node, make_workspace

from vendetta.coordination.events import Events
from vendetta.coordination.monitoring import Observation
from vendetta.models import Event, Instance, InstanceSpec, Progress, Workspace
from vendetta.store import Store


def ignore(progress: Progress) -> None:
    """Nobody watches."""


class World:
    """One node with an engine in memory, and what is told of its workspaces."""

    def __init__(self, store: Store, events: Events) -> None:
        self.store = store
        self.events = events
        self.observation = Observation(store, events)
        self.engine = MemoryEngine(images={"busybox": None})
        self.provider = MemoryProvider(self.engine, "us")

    async def make(self, name: str = "web", *, state: str = "running", **fields: Any) -> None:
        spec = InstanceSpec(image="busybox", command=fields.pop("command", None), options=fields.pop("options", {}))
        fields = {"wanted": "running", "boot_id": "one"} | fields
        await self.store.workspaces.add(make_workspace(name, provider="memory", state=state, spec=spec, **fields))
        await self.provider.create(name, spec, ignore)
        await self.provider.start(name)

    async def survey(self) -> None:
        await self.observation.survey("gpu", "memory", self.provider)

    async def look(self, name: str = "web") -> bool:
        return await self.observation.look(name, "gpu", self.provider)

    async def get(self, name: str = "web") -> Workspace:
        return await self.store.workspaces.get(name)

    async def told(self) -> Sequence[Event]:
        return (await self.events.list()).items

    def shown(self, name: str = "web", **changes: Any) -> None:
        """The engine shows the instance so from now on, and tells nobody."""
        instance = self.engine.instances[name]
        instance.shown = replace(instance.shown, **changes)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with Store.open(str(tmp_path / "state.db")) as store, Events(store) as events:
        await store.nodes.add(make_node("gpu", boot_id="one"))
        world = World(store, events)
        yield world
        await world.engine.close()


@pytest.mark.parametrize("way", ["survey", "look"])
async def test_one_that_is_gone_is_missing_and_told_once(world: World, way: str) -> None:
    await world.make()
    del world.engine.instances["web"]
    for _ in range(3):
        await getattr(world, way)()
    seen = await world.get()
    assert (seen.state, seen.reason) == ("missing", "node gpu no longer has it")
    assert [(event.kind, event.data["before"]) for event in await world.told()] == [("workspace.missing", "running")]


@pytest.mark.parametrize("way", ["survey", "look"])
async def test_one_that_died_has_failed_with_its_status_and_its_last_lines(world: World, way: str) -> None:
    await world.make(command=["sh", "-c", "echo going down; exit 7"])
    while world.engine.instances["web"].running:
        await asyncio.sleep(0)
    for _ in range(3):
        await getattr(world, way)()
    seen = await world.get()
    assert (seen.state, seen.reason, seen.exit_status) == ("failed", "ended with status 7", 7)
    assert seen.last_lines == ["going down"]
    (event,) = await world.told()
    assert event.kind == "workspace.failed"
    assert event.data == {
        "node": "gpu",
        "before": "running",
        "reason": "ended with status 7",
        "exit_status": 7,
        "last_lines": ["going down"],
    }


async def test_one_that_was_started_by_hand_runs_and_its_end_is_forgotten(world: World) -> None:
    await world.make(state="failed", exit_status=7, last_lines=["going down"])
    await world.look()
    seen = await world.get()
    assert (seen.state, seen.exit_status, seen.last_lines, seen.boot_id) == ("running", None, [], "one")
    assert [event.kind for event in await world.told()] == ["workspace.running"]


async def test_an_end_that_nobody_asked_for_here_says_so(world: World) -> None:
    await world.make()
    await world.provider.stop("web")
    await world.look()
    seen = await world.get()
    assert (seen.state, seen.exit_status) == ("stopped", 143)
    assert seen.reason == "ended with status 143, which nobody asked for here"


async def test_an_end_that_was_asked_for_needs_no_reason(world: World) -> None:
    await world.make(wanted="stopped")
    await world.provider.stop("web")
    await world.look()
    seen = await world.get()
    assert (seen.state, seen.reason, seen.exit_status) == ("stopped", None, None)


async def test_a_list_that_was_overtaken_is_not_believed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked before an operation started the workspace, and answers after that was written."""
    await world.make(state="stopped", wanted="stopped")
    await world.provider.stop("web")
    await world.look()
    listed = await world.provider.list()

    async def slow_list() -> Sequence[Instance]:
        await world.observation.transition(await world.get(), "starting", "running")
        await world.provider.start("web")
        await world.observation.settle(await world.get(), world.provider)
        return listed

    monkeypatch.setattr(world.provider, "list", slow_list)
    before = len(await world.told())
    await world.survey()
    assert (await world.get()).state == "running"
    assert [event.kind for event in (await world.told())[before:]] == ["workspace.running"]


async def test_a_look_that_was_overtaken_is_not_believed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.make(state="running")
    inspect = world.provider.inspect

    async def slow_inspect(name: str) -> Instance:
        seen = await inspect(name)
        monkeypatch.setattr(world.provider, "inspect", inspect)
        await world.provider.stop("web")
        await world.look()
        return seen

    monkeypatch.setattr(world.provider, "inspect", slow_inspect)
    await world.look()
    assert (await world.get()).state == "stopped"
    assert [event.kind for event in await world.told()] == ["workspace.stopped"]


async def test_what_happens_as_an_operation_lets_go_is_not_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine tells of the end while the operation still holds it, and has already looked."""
    await world.make(state="running")
    await world.observation.transition(await world.get(), "starting", "running")
    inspect = world.provider.inspect

    async def inspect_too_early(name: str) -> Instance:
        seen = await inspect(name)
        monkeypatch.setattr(world.provider, "inspect", inspect)
        await world.provider.stop("web")
        assert not await world.look()
        return seen

    monkeypatch.setattr(world.provider, "inspect", inspect_too_early)
    settled = await world.observation.settle(await world.get(), world.provider)
    assert settled.state == (await world.get()).state == "stopped"
    assert not world.observation.is_overlooked("web")


async def test_an_operation_alone_says_what_comes_next(world: World) -> None:
    await world.make()
    await world.observation.transition(await world.get(), "stopping", "stopped")
    await world.provider.stop("web")
    assert not await world.look()
    await world.survey()
    assert (await world.get()).state == "stopping"
    assert world.observation.is_overlooked("web")
    assert (await world.observation.settle(await world.get(), world.provider)).state == "stopped"


async def test_what_cannot_be_asked_is_unknown_and_comes_back_as_it_is(world: World) -> None:
    await world.make()
    for _ in range(2):
        await world.observation.lose("gpu", "node gpu can't be asked: gone")
    seen = await world.get()
    assert (seen.state, seen.reason) == ("unknown", "node gpu can't be asked: gone")
    await world.survey()
    assert [event.kind for event in await world.told()] == ["workspace.unknown", "workspace.running"]


async def test_an_engine_that_cannot_be_asked_loses_its_own_alone(world: World) -> None:
    await world.make()
    await world.store.workspaces.add(make_workspace("other", provider="docker", state="running"))
    await world.observation.lose("gpu", "docker on node gpu can't be asked: stopped", kinds=["docker"])
    assert [(await world.get(name)).state for name in ("web", "other")] == ["running", "unknown"]


async def test_workspaces_of_others_are_left_alone(world: World) -> None:
    await world.make(node="elsewhere")
    await world.provider.stop("web")
    await world.look()
    await world.survey()
    assert (await world.get()).state == "running"
    assert await world.look("nobody's")


async def test_a_list_that_tells_less_than_was_seen_changes_nothing(world: World) -> None:
    """A look told more of why: as a list of Docker's, which knows of no kill for want of memory."""
    await world.make(state="failed", exit_status=137)
    world.shown(state="failed", exit_status=137, reason="ran out of memory and was killed")
    await world.look()
    before = len(await world.told())
    looked = world.engine.instances["web"].shown
    listed = [replace(looked, state="stopped", reason=None)]

    async def list_() -> Sequence[Instance]:
        return listed

    world.provider.list = list_  # type: ignore[method-assign]
    await world.survey()
    assert (await world.get()).reason == "ran out of memory and was killed"
    assert len(await world.told()) == before


async def test_one_that_runs_again_after_a_restart_of_the_node_does_not_end_for_that(world: World) -> None:
    """It was started before anybody knew that the node had been restarted."""
    await world.make()
    await world.store.nodes.update("gpu", boot_id="two")
    await world.survey()
    seen = await world.get()
    assert (seen.state, seen.boot_id, await world.told()) == ("running", "two", [])
    await world.provider.stop("web")
    world.shown(state="failed", exit_status=3, reason="ended with status 3")
    await world.survey()
    seen = await world.get()
    assert (seen.state, seen.reason, seen.exit_status) == ("failed", "ended with status 3", 3)


async def test_after_a_restart_of_the_node_it_says_so_and_asks_for_its_start(world: World) -> None:
    asked: list[tuple[str, str]] = []

    async def listen(workspace: Workspace, boot_id: str) -> None:
        asked.append((workspace.name, boot_id))

    world.observation.on_restart(listen)
    await world.make()
    await world.provider.stop("web")
    world.shown(state="failed", exit_status=255, reason="ended with status 255")
    await world.store.nodes.update("gpu", boot_id="two")
    await world.survey()
    seen = await world.get()
    assert (seen.state, seen.reason) == ("stopped", "node gpu was restarted")
    assert asked == [("web", "two")]
    # it was started in this boot: what becomes of it now has another reason
    await world.observation.transition(await world.get(), "starting", "running")
    settled = await world.observation.settle(await world.get(), world.provider)
    assert (settled.state, settled.reason) == ("failed", "ended with status 255")
    assert asked == [("web", "two")]
