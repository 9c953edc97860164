"""What is done to workspaces behind the server's back, on real engines: seen at once, by the engines' own events.

Nothing is asked for it: the full reading, once a quarter of an hour, is too late for any of these.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.contract.images import build_system_root
from tests.integration.ssh.conftest import add
from tests.testbed import Node, TestBed
from tests.testbed.images import build_root

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import WorkspaceRequest
from vendetta.models import Event, Operation
from vendetta.paths import Paths
from vendetta.providers.powers import Images, require
from vendetta.settings import ServerConfig

PROMPT_SECONDS = 10.0
"""What is promised is 2 s; a test that shares the machine with others has more patience."""
DYING = ["sh", "-c", "echo alive; until [ -e /dying ]; do sleep 0.1; done; echo going down >&2; exit 7"]


@dataclass(frozen=True)
class Engine:
    """How a person who sits at the node removes, starts, stops what is called `vendetta-web` there."""

    provider: str
    make: Callable[[TestBed], Node]
    image: Callable[[], bytes]
    remove: str
    start: str
    stop: str
    options: dict[str, str] = field(default_factory=dict)


ENGINES = {
    "docker": Engine(
        "docker",
        lambda bed: bed.node(docker=True),
        build_root,
        remove="docker rm -f vendetta-web",
        start="docker start vendetta-web",
        stop="docker stop -t 0 vendetta-web",
    ),
    "incus": Engine(
        "lxc",
        lambda bed: bed.node(engines=["incus"], groups=["incus-admin"]),
        build_system_root,
        remove="incus delete -f vendetta-web",
        start="incus start vendetta-web",
        stop="incus stop -f vendetta-web",
    ),
    "lxc": Engine(
        "lxc",
        lambda bed: bed.node(engines=["lxc"], sudo="nopasswd"),
        build_system_root,
        remove="lxc-stop -k -n vendetta-web; lxc-destroy -n vendetta-web",
        start="lxc-start -n vendetta-web",
        stop="lxc-stop -k -n vendetta-web",
    ),
}


@dataclass
class Watched:
    """A server that watches one node, on which `web` runs."""

    engine: Engine
    node: Node
    services: Services
    seen: int = 0

    async def wait(self, operation: Awaitable[Operation]) -> None:
        done = await self.services.operations.wait((await operation).id, 60)
        assert done.state == "succeeded", done.error
        self.seen = max(event.sequence for event in (await self.services.events.list(limit=10_000)).items)

    async def create(self, command: Sequence[str] | None = None) -> None:
        request = WorkspaceRequest(
            name="web",
            provider=self.engine.provider,
            image="given",
            node="gpu",
            command=list(command) if command else None,
            options=self.engine.options,
        )
        await self.wait(self.services.workspaces.create(request, "test"))

    async def by_hand(self, script: str) -> None:
        await asyncio.to_thread(self.node.run, ["sh", "-c", script])

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
    return engine.make(bed)


@pytest.fixture
async def watched(
    engine: Engine, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watched]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"))) as services:
        await add(services, node, "gpu")
        (tmp_path / "root.tar").write_bytes(engine.image())
        async with services.images._engines.provider("gpu", engine.provider) as provider:
            await require(provider, Images).push_image("given", tmp_path / "root.tar", lambda _: None)
        watched = Watched(engine, node, services)
        try:
            yield watched
        finally:
            await watched.by_hand(f"({engine.remove}) >/dev/null 2>&1 || true")


async def test_one_that_is_removed_is_missing(watched: Watched) -> None:
    await watched.create()
    await watched.by_hand(watched.engine.remove)
    event = await watched.told("workspace.missing", after=["workspace.stopped"])
    assert event.data["reason"] == "node gpu no longer has it"


async def test_one_that_is_stopped_and_started_is_told_both_times(watched: Watched) -> None:
    await watched.create()
    await watched.by_hand(watched.engine.stop)
    event = await watched.told("workspace.stopped")
    assert "nobody asked for here" in event.data["reason"]
    await watched.by_hand(watched.engine.start)
    await watched.told("workspace.running")


@pytest.mark.parametrize("engine", ["docker"], indirect=True)  # a system container's end has no exit status
async def test_one_that_died_has_failed_with_its_last_lines(watched: Watched) -> None:
    await watched.create(DYING)
    await watched.by_hand("docker exec vendetta-web touch /dying")
    event = await watched.told("workspace.failed")
    assert (event.data["reason"], event.data["exit_status"]) == ("ended with status 7", 7)
    assert event.data["last_lines"] == ["alive", "going down"]
    seen = await watched.services.workspaces.get("web")
    assert (seen.state, seen.exit_status, seen.last_lines) == ("failed", 7, ["alive", "going down"])
