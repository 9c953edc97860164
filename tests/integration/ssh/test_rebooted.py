"""A node that was started again: recognised by its boot id, and what should run there told and started again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

SECONDS = 90.0


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    quick = {"keepalive_interval": 1.0, "connection_timeout": 5.0}
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"), **quick)) as services:
        yield services


@asynccontextmanager
async def booted(services: Services, engine: Engine, bed: TestBed, folder: Path) -> AsyncIterator[Node]:
    """A node of its own, added as `gpu`, that knows one boot from another."""
    node = engine.node(bed, own_boot_id=True)
    try:
        await add(services, node, "gpu")
        await engine.prepare(services, folder)
        yield node
    finally:
        if node.is_up:
            node.kill()


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


async def test_what_should_run_there_is_told(services: Services, bed: TestBed, tmp_path: Path) -> None:
    engine = ENGINES["docker"]
    async with booted(services, engine, bed, tmp_path) as node:
        await engine.create(services)
        await engine.create(services, "always", options={"restart": "always"})
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


@pytest.mark.parametrize(("name", "times"), [("lxc", 2), ("qemu", 1)])  # one that is emulated takes long to boot
async def test_what_is_to_be_started_again_is(
    services: Services, bed: TestBed, tmp_path: Path, name: str, times: int
) -> None:
    engine = ENGINES[name]
    async with booted(services, engine, bed, tmp_path) as node:
        await engine.create(services, options={"autostart": "true"})
        await engine.create(services, "other")
        for _ in range(times):
            rebooted = await reboot(services, node)
            assert rebooted.data["wanted"] == ["other", "web"]
            stopped = await wait_for(services, "workspace.stopped", "other", after=rebooted)
            assert stopped.data["reason"] == "node gpu was restarted"
            await wait_for(services, "workspace.running", "web", after=rebooted)
        started = (await services.operations.list(kind="workspace.start")).items
        assert [operation.actor for operation in started] == ["server"] * times
