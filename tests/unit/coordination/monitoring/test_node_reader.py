"""A node is asked everything at once, and what its engine says of itself decides what its list is worth."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.unit.coordination.machines import STOPPED, LinkedProvider, Machine, serving

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import NodeRequest, WorkspaceRequest
from vendetta.errors import EngineUnavailable
from vendetta.models import Instance, ProviderStatus, Workspace
from vendetta.ssh.endpoint import Login


@pytest.fixture
def machine() -> Machine:
    return Machine("gpu")


@pytest.fixture
async def services(tmp_path: Path, machine: Machine) -> AsyncIterator[Services]:
    """With a workspace on a node that was read once."""
    async with serving(tmp_path, {"gpu": machine}) as services:
        await services.node_adding.add(
            NodeRequest(name="gpu", address="me@192.0.2.1"), Login(accept_new=True), actor="test"
        )
        request = WorkspaceRequest(name="web", provider="memory", image="busybox", node="gpu")
        operation = await services.workspaces.create(Ask("test"), request)
        assert (await services.operations.wait(operation.id, 30)).state == "succeeded"
        await services.node_links.probe("gpu")
        yield services


async def read(services: Services) -> Workspace:
    async with asyncio.timeout(20):
        await services.node_links.probe("gpu")
    return await services.workspaces.get("web")


async def test_the_list_is_asked_beside_the_probe(
    services: Services, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, list_ = LinkedProvider.probe, LinkedProvider.list
    listing, probing = asyncio.Event(), asyncio.Event()

    async def probe_once_listed(self: LinkedProvider) -> ProviderStatus:
        probing.set()
        await listing.wait()
        return await probe(self)

    async def list_once_probed(self: LinkedProvider) -> Sequence[Instance]:
        listing.set()
        await probing.wait()
        return await list_(self)

    monkeypatch.setattr(LinkedProvider, "probe", probe_once_listed)
    monkeypatch.setattr(LinkedProvider, "list", list_once_probed)
    del machine.engine.instances["web"]
    assert (await read(services)).state == "missing"


async def test_a_list_that_failed_is_asked_again_where_the_engine_is_well(
    services: Services, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_ = LinkedProvider.list
    failures = [EngineUnavailable("the engine broke the connection off")]

    async def fail_once(self: LinkedProvider) -> Sequence[Instance]:
        if failures:
            raise failures.pop()
        return await list_(self)

    monkeypatch.setattr(LinkedProvider, "list", fail_once)
    del machine.engine.instances["web"]
    assert (await read(services)).state == "missing"


async def test_a_list_is_not_waited_for_where_the_engine_is_not_well(
    services: Services, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(self: LinkedProvider) -> Sequence[Instance]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(LinkedProvider, "list", hang)
    machine.engine.status = STOPPED
    web = await read(services)
    assert (web.state, web.reason) == ("unknown", "memory on node gpu can't be asked: nobody answers")


async def test_what_ended_with_its_node_is_not_said_to_have_ended_by_itself(
    services: Services, machine: Machine
) -> None:
    """Whether the link was seen to end or not."""
    await machine.engine.instances["web"].stop(255)
    machine.boot += 1
    web = await read(services)
    assert (web.state, web.reason) == ("stopped", "node gpu was restarted")
