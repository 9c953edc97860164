"""An engine that stops and starts again under the server's eyes: told at once, and without being asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import NodeFactory

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import NodeRequest
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.endpoint import Login


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"))) as services:
        yield services


async def test_an_engine_that_stops_and_starts_again_is_told_both_times(
    services: Services, make_node: NodeFactory
) -> None:
    node = make_node(docker=True)
    request = NodeRequest(name="gpu", address=f"{node.user}@{node.address}", identity=str(node.key))
    await services.nodes.add(request, Login(accept_new=True), actor="test")
    told = services.events.watch()

    async def next_state() -> str:
        async with asyncio.timeout(60):
            return await anext(event.kind async for event in told if event.kind.startswith("engine."))

    await asyncio.to_thread(node.stop_docker)
    assert await next_state() == "engine.undetected"
    await asyncio.to_thread(node.start_docker)
    assert await next_state() == "engine.healthy"
    assert (await services.nodes.get("gpu")).providers["docker"].state == "healthy"
