"""A node that was started again: recognised by its boot id, and what should run there told and started again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.contract.images import build_system_root
from tests.integration.ssh.conftest import add
from tests.testbed import Node
from tests.testbed.images import build_root

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import WorkspaceRequest
from vendetta.models import Event
from vendetta.paths import Paths
from vendetta.providers.powers import Images, require
from vendetta.settings import ServerConfig

SECONDS = 90.0


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    quick = {"keepalive_interval": 1.0, "connection_timeout": 5.0}
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"), **quick)) as services:
        yield services


async def create(services: Services, name: str, provider: str, **options: str) -> None:
    request = WorkspaceRequest(name=name, provider=provider, image="given", node="gpu", options=options)
    operation = await services.workspaces.create(request, "test")
    done = await services.operations.wait(operation.id, SECONDS)
    assert done.state == "succeeded", done.error


async def give_image(services: Services, provider: str, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    async with services.images._engines.provider("gpu", provider) as held:
        await require(held, Images).push_image("given", path, lambda _: None)


async def reboot(services: Services, node: Node) -> Event:
    """Until the server has seen it."""
    told = services.events.watch()
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.boot)
    async with asyncio.timeout(SECONDS):
        return await anext(event async for event in told if event.kind == "node.rebooted")


async def wait_for(services: Services, kind: str, name: str, *, after: Event) -> Event:
    async with asyncio.timeout(SECONDS):
        told = services.events.watch(after.sequence)
        return await anext(event async for event in told if (event.kind, event.subject) == (kind, name))


async def test_what_should_run_there_is_told(services: Services, make_node: NodeFactory, tmp_path: Path) -> None:
    node = make_node(docker=True, own_boot_id=True)
    await add(services, node, "gpu")
    await give_image(services, "docker", tmp_path / "root.tar", build_root())
    await create(services, "web", "docker")
    await create(services, "always", "docker", restart="always")
    before = (await services.nodes.get("gpu")).boot_id
    event = await reboot(services, node)
    after = (await services.nodes.get("gpu")).boot_id
    assert before != after
    assert (event.data["before"], event.data["after"]) == (before, after)
    assert (event.data["wanted"], event.data["wanted_count"]) == (["always", "web"], 2)
    # the engine starts it again by itself; we don't start what nobody wants to be started again
    await wait_for(services, "workspace.running", "always", after=event)
    stopped = await wait_for(services, "workspace.stopped", "web", after=event)
    assert stopped.data["reason"] == "node gpu was restarted"
    started = [event for event in (await services.events.list(limit=1000)).items if event.actor == "server"]
    assert not any(event.data.get("operation") == "workspace.start" for event in started)


async def test_what_is_to_be_started_again_is(services: Services, make_node: NodeFactory, tmp_path: Path) -> None:
    node = make_node(engines=["lxc"], sudo="nopasswd", own_boot_id=True)
    await add(services, node, "gpu")
    await give_image(services, "lxc", tmp_path / "root.tar", build_system_root())
    await create(services, "web", "lxc", autostart="true")
    await create(services, "other", "lxc")
    for _ in range(2):
        rebooted = await reboot(services, node)
        await wait_for(services, "workspace.stopped", "other", after=rebooted)
        await wait_for(services, "workspace.running", "web", after=rebooted)
    (_, *others) = (await services.operations.list(kind="workspace.start")).items
    assert len(others) == 1
    assert all(operation.actor == "server" for operation in others)
