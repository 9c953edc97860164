"""An engine's events are followed without a break while the node is read again, which finds what they didn't tell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.coordination.machines import LinkedProvider, Machine, serving
from tests.unit.coordination.simulated import run

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.monitoring import node_watcher
from vendetta.coordination.requests import NodeRequest, WorkspaceRequest
from vendetta.models import ProviderStatus
from vendetta.providers.powers import InstanceEvent
from vendetta.ssh.endpoint import Login

SAFETY_SECONDS = 30.0
LONGEST_ROUND = SAFETY_SECONDS * node_watcher.LATER_ROUNDS[1] + 1.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_watcher, "SAFETY_SECONDS", SAFETY_SECONDS)


class Counted:
    """How often an engine was asked whether it is well, and its events were begun to be followed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.probes = self.watches = 0
        probe, watch = LinkedProvider.probe, LinkedProvider.watch

        async def counting_probe(provider: LinkedProvider) -> ProviderStatus:
            self.probes += 1
            return await probe(provider)

        def counting_watch(provider: LinkedProvider) -> AsyncIterator[InstanceEvent]:
            self.watches += 1
            return watch(provider)

        monkeypatch.setattr(LinkedProvider, "probe", counting_probe)
        monkeypatch.setattr(LinkedProvider, "watch", counting_watch)


async def add(services: Services) -> None:
    await services.node_adding.add(
        NodeRequest(name="gpu", address="me@192.0.2.1"), Login(accept_new=True), actor="test"
    )
    request = WorkspaceRequest(name="web", provider="memory", image="busybox", node="gpu")
    operation = await services.workspaces.create(Ask("test"), request)
    assert (await services.operations.wait(operation.id, None)).state == "succeeded"
    await asyncio.sleep(1.0)


async def state(services: Services) -> str:
    return (await services.workspaces.get("web")).state


def test_a_stream_goes_on_while_everything_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        machine, counted = Machine("gpu"), Counted(monkeypatch)
        async with serving(tmp_path, {"gpu": machine}) as services:
            await add(services)
            probes, watches = counted.probes, counted.watches
            await asyncio.sleep(3 * LONGEST_ROUND)
            assert counted.probes >= probes + 3
            assert counted.watches == watches
            await machine.kill("web")
            await asyncio.sleep(1.0)
            assert await state(services) == "failed"
            assert counted.watches == watches

    run(check())


def test_what_a_stream_did_not_tell_is_found(tmp_path: Path) -> None:
    async def check() -> None:
        machine = Machine("gpu")
        async with serving(tmp_path, {"gpu": machine}) as services:
            await add(services)
            await machine.engine.instances.pop("web").stop()
            await asyncio.sleep(1.0)
            assert await state(services) == "running"
            await asyncio.sleep(LONGEST_ROUND)
            assert await state(services) == "missing"

    run(check())


def test_a_stream_that_ended_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        machine, counted = Machine("gpu"), Counted(monkeypatch)
        async with serving(tmp_path, {"gpu": machine}) as services:
            await add(services)
            watches = counted.watches
            machine.end_events()
            await asyncio.sleep(10.0)
            assert counted.watches == watches + 1
            await machine.kill("web")
            await asyncio.sleep(1.0)
            assert await state(services) == "failed"

    run(check())
