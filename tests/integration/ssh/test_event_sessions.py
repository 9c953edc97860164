"""Sessions that following events takes where an engine has no socket for it: held while there are workspaces."""

import asyncio
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ssh.by_hand import ENGINES, Engine
from tests.integration.ssh.conftest import add
from tests.testbed import TestBed

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.monitoring.event_streams import Following
from vendetta.coordination.requests import RemoveRequest
from vendetta.ssh.endpoint import Login

SECONDS = 60.0


class Followed:
    """What each round of following a node has begun to follow."""

    def __init__(self) -> None:
        self._kinds: asyncio.Queue[Set[str]] = asyncio.Queue()

    def note(self, kinds: Set[str]) -> None:
        self._kinds.put_nowait(kinds)

    async def becomes(self, kinds: Set[str]) -> None:
        async with asyncio.timeout(SECONDS):
            while await self._kinds.get() != kinds:
                pass


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> Followed:
    followed, start = Followed(), Following._start

    async def noted(self: Following, *given: Any) -> bool:
        begun = await start(self, *given)
        followed.note(set(self._tasks))
        return begun

    monkeypatch.setattr(Following, "_start", noted)
    return followed


async def until(right: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not right():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("engine", [ENGINES["lxc"], ENGINES["qemu"]], ids=["lxc", "qemu"])
async def test_a_node_without_workspaces_holds_none(
    followed: Followed, services: Services, bed: TestBed, tmp_path: Path, engine: Engine
) -> None:
    node = engine.node(bed)
    try:
        await add(services, node, "gpu")
        connection = services.images._engines._pool.connection("gpu")
        assert connection
        assert (await services.nodes.get("gpu")).providers[engine.provider].state == "healthy"
        await followed.becomes(set())
        await until(lambda: connection._sessions.used == 0)
        await engine.prepare(services, tmp_path)
        await engine.create(services)
        await followed.becomes({engine.provider})
        await until(lambda: connection._sessions.used == 1)
        removal = await services.workspaces.change(Ask("test"), "workspace.remove", "web", RemoveRequest(force=True))
        await services.operations.wait(removal.id, SECONDS)
        # everything is read again
        await services.node_links.connect("gpu", Login())
        await followed.becomes(set())
        await until(lambda: connection._sessions.used == 0)
    finally:
        node.kill()
