"""An engine's daemon restarted under load: nothing is mislabelled, and everything ends with what is true."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.contract.images import build_system_root
from tests.integration.ssh.by_hand import push_image
from tests.integration.ssh.conftest import add
from tests.testbed import Node, TestBed
from tests.testbed.images import build_root

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import ExecRequest, ImageRequest, StopRequest, WorkspaceRequest
from vendetta.errors import VendettaError
from vendetta.models import FINISHED
from vendetta.paths import Paths
from vendetta.settings import ServerConfig

SECONDS = 60.0
DOWN = ("engine.undetected", "engine.unhealthy")
NAMES = [f"w{number}" for number in range(6)]


@pytest.fixture(params=["docker", "incus"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def node(engine: str, bed: TestBed) -> Iterator[Node]:
    node = bed.node(docker=True) if engine == "docker" else bed.node(engines=["incus"], groups=["incus-admin"])
    yield node
    node.kill()


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"))) as services:
        yield services


class Load:
    """Workspaces that are made, run something, are stopped and started, again and again, whatever comes of it."""

    def __init__(self, services: Services, provider: str) -> None:
        self.services = services
        self.provider = provider
        self.over = False

    async def use(self, name: str) -> None:
        workspaces = self.services.workspaces
        request = WorkspaceRequest(name=name, provider=self.provider, image="given", node="gpu")
        while not self.over:
            with suppress(VendettaError):
                await self.end((await workspaces.create(Ask("test"), request)).id)
            with suppress(VendettaError):
                async with asyncio.timeout(SECONDS), workspaces.exec(name, ExecRequest(argv=["true"])) as process:
                    while await process.read():
                        pass
                    await process.wait()
            for change in (
                workspaces.change(Ask("test"), "workspace.stop", name, StopRequest(timeout_seconds=0)),
                workspaces.change(Ask("test"), "workspace.start", name),
            ):
                with suppress(VendettaError):
                    await self.end((await change).id)

    async def end(self, operation: str) -> None:
        await self.services.operations.wait(operation, SECONDS)


async def test_a_restart_under_load(services: Services, node: Node, engine: str, tmp_path: Path) -> None:
    provider = "docker" if engine == "docker" else "lxc"
    await add(services, node, "gpu")
    (tmp_path / "root.tar").write_bytes(build_root() if engine == "docker" else build_system_root())
    await push_image(services, ImageRequest(node="gpu", provider=provider, name="given"), tmp_path / "root.tar")
    load = Load(services, provider)
    using = [asyncio.create_task(load.use(name)) for name in NAMES]
    told = services.events.watch(0)
    for _ in NAMES:  # it is under way
        await anext(event async for event in told if event.kind == "workspace.running")
    for _ in range(2):
        await asyncio.to_thread(node.stop_engine, engine)
        async with asyncio.timeout(SECONDS):
            event = await anext(
                event async for event in told if event.kind in ("engine.undetected", "engine.unhealthy")
            )
        assert event.data["reason"]
        await asyncio.to_thread(node.start_engine, engine)
        async with asyncio.timeout(SECONDS):
            await anext(event async for event in told if event.kind == "engine.healthy")
    load.over = True
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*using)
    await settle(services, node, engine)
    everything = (await services.events.list(limit=10_000)).items
    assert not [event for event in everything if event.kind == "workspace.missing"]
    assert {operation.state for operation in (await services.operations.list(limit=1000)).items} <= FINISHED


async def settle(services: Services, node: Node, engine: str) -> None:
    """Until what is said of each is what the engine itself says."""
    truth: dict[str, bool] = {}
    said: dict[str, str] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            while not said or {name: state == "running" for name, state in said.items()} != truth:
                await asyncio.sleep(0.2)
                truth = await asyncio.to_thread(look, node, engine)
                said = {each.name: each.state for each in (await services.workspaces.list()).items}
    assert {name: state == "running" for name, state in said.items()} == truth
    assert set(said.values()) <= {"running", "stopped", "failed"}, said


def look(node: Node, engine: str) -> dict[str, bool]:
    """By the engine's own program: which of ours there are, and whether they run."""
    if engine == "docker":
        listed = node.run(["docker", "ps", "-a", "--format", "{{.Names}} {{.State}}"]).stdout
    else:
        listed = node.run(["incus", "list", "-f", "csv", "-c", "ns"]).stdout.replace(",", " ")
    pairs = [line.split() for line in listed.splitlines() if line.startswith("vendetta-w")]
    return {name.removeprefix("vendetta-"): state.lower() == "running" for name, state in pairs}
