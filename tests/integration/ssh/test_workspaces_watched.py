"""What is done to workspaces behind the server's back, on real engines: seen at once, by the engines' own events.

Nothing is asked for it: the full reading, once a quarter of an hour, is too late for any of these.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.ssh.by_hand import ENGINES, Engine
from tests.integration.ssh.conftest import add
from tests.testbed import Node, TestBed

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.models import Event
from vendetta.paths import Paths
from vendetta.settings import ServerConfig

PROMPT_SECONDS = 10.0
"""What is promised is 2 s; a test that shares the machine with others has more patience."""


@dataclass
class Watched:
    """A server that watches one node, on which `web` runs."""

    engine: Engine
    node: Node
    services: Services
    seen: int = 0

    async def create(self, command: Sequence[str] = ()) -> None:
        await self.engine.create(self.services, command=list(command) or None)
        self.seen = max(event.sequence for event in (await self.services.events.list(limit=10_000)).items)

    async def by_hand(self, script: str) -> None:
        await asyncio.to_thread(self.engine.run, self.node, script)

    async def told(self, kind: str, *, after: Sequence[str] = ()) -> Event:
        """The next event of the workspace, which must be of this kind, or of those that may come before."""
        began = time.monotonic()
        async with asyncio.timeout(PROMPT_SECONDS):
            async for event in self.services.events.watch(self.seen):
                self.seen = event.sequence
                if event.subject == "web" and event.kind not in after:
                    print(f"{self.node.name} {event.kind} after {time.monotonic() - began:.3f} s")
                    assert event.kind == kind, event
                    return event
        raise AssertionError("the events ended")


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.fixture(scope="module")
def node(engine: Engine, bed: TestBed) -> Node:
    return engine.node(bed)


@pytest.fixture
async def watched(
    engine: Engine, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"))) as services:
        await add(services, node, "gpu")
        await engine.prepare(services, tmp_path)
        watched = Watched(engine, node, services)
        try:
            yield watched
        finally:
            await watched.by_hand(f"({engine.remove}) >/dev/null 2>&1 || true")


async def test_one_that_is_removed_is_missing(watched: Watched) -> None:
    await watched.create()
    await watched.by_hand(watched.engine.remove)
    # it ends first, and that may be seen
    event = await watched.told("workspace.missing", after=["workspace.stopped", "workspace.failed"])
    assert event.data["reason"] == "node gpu no longer has it"


async def test_one_that_is_stopped_and_started_is_told_both_times(watched: Watched) -> None:
    await watched.create()
    await watched.by_hand(watched.engine.stop)
    event = await watched.told("workspace.stopped")
    assert "nobody asked for here" in event.data["reason"]
    await watched.by_hand(watched.engine.start)
    await watched.told("workspace.running")


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
async def test_one_that_died_has_failed_with_its_last_lines(watched: Watched) -> None:
    await watched.create(watched.engine.dying)
    await watched.by_hand(watched.engine.die)
    event = await watched.told("workspace.failed")
    assert (event.data["reason"], event.data["exit_status"]) == ("ended with status 7", 7)
    assert event.data["last_lines"] == ["alive", "going down"]
    seen = await watched.services.workspaces.get("web")
    assert (seen.state, seen.exit_status, seen.last_lines) == ("failed", 7, ["alive", "going down"])


@pytest.mark.parametrize("engine", ["qemu"], indirect=True)
async def test_a_vm_whose_qemu_was_killed_has_failed_with_the_end_of_its_console(watched: Watched) -> None:
    await watched.create()
    await watched.by_hand(watched.engine.die)
    event = await watched.told("workspace.failed")
    assert event.data["reason"] == "qemu was killed, or crashed"
    assert "web is up" in event.data["last_lines"]


@pytest.mark.parametrize("engine", ["incus", "lxc"], indirect=True)
async def test_a_system_container_that_died_is_stopped_with_the_end_of_its_console(watched: Watched) -> None:
    """No engine tells how the init of one ended: that nobody asked for it here is all that is known."""
    await watched.create()
    await watched.by_hand(watched.engine.die)
    event = await watched.told("workspace.stopped")
    assert "nobody asked for here" in event.data["reason"]
    assert event.data["last_lines"][-1:] == ["going down"]


@pytest.mark.parametrize("engine", ["qemu"], indirect=True)
async def test_one_that_is_removed_while_it_is_stopped_is_missing(watched: Watched) -> None:
    """Nothing that runs tells of it."""
    await watched.create()
    await watched.by_hand(watched.engine.stop)
    await watched.told("workspace.stopped")
    await watched.by_hand(watched.engine.remove)
    # of one that is half removed no more is left than of one that never ran, and that may be seen
    await watched.told("workspace.missing", after=["workspace.stopped"])
