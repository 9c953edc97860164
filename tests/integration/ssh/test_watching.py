"""Many nodes watched with few connections: nobody is forgotten, and nobody is connected again and again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ssh.sshd import Sshd

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.monitoring import node_reader as reading
from vendetta.coordination.monitoring import node_watcher, resting
from vendetta.coordination.requests import ExecRequest, NodeRequest
from vendetta.errors import ConnectFailed
from vendetta.models import Event
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.endpoint import Login
from vendetta.ssh.login import Connector

NAMES = [f"n{number}" for number in range(6)]
PLACES = 3


class Seen:
    """How often each node was logged in to, and asked everything."""

    def __init__(self) -> None:
        self.logins: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self._looked = asyncio.Condition()

    async def looked(self, node: str) -> None:
        async with self._looked:
            self.looks[node] += 1
            self._looked.notify_all()

    async def wait_for_looks(self, times: int) -> None:
        """Until each node was asked so many times more."""
        before = self.looks.copy()
        async with asyncio.timeout(60), self._looked:
            await self._looked.wait_for(lambda: all(self.looks[name] - before[name] >= times for name in NAMES))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen()
    open_, probe = Connector.open, reading.probe

    async def counting_open(self: Connector, endpoint: Any, *more: Any) -> Any:
        seen.logins[endpoint.node] += 1
        return await open_(self, endpoint, *more)

    async def counting_probe(connection: Any, engines: Any) -> Any:
        findings = await probe(connection, engines)
        await seen.looked(connection.node)
        return findings

    monkeypatch.setattr(Connector, "open", counting_open)
    monkeypatch.setattr(reading, "probe", counting_probe)
    # a node that is connected again is connected again at once, so that it is counted
    monkeypatch.setattr("vendetta.ssh.breaker.FIRST_SECONDS", 0.0)
    return seen


@pytest.fixture
async def services(sshd: Sshd, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    config = ServerConfig(state_file=str(tmp_path / "state.db"), max_connections=PLACES)
    async with running_services(paths, config) as services:
        yield services


async def add_all(services: Services, sshd: Sshd) -> None:
    for name in NAMES:
        request = NodeRequest(name=name, address=f"root@127.0.0.1:{sshd.port}", identity=str(sshd.key))
        await services.node_adding.add(request, Login(accept_new=True), actor="test")


async def use(services: Services, name: str) -> None:
    async with services.node_processes.open(name, ExecRequest(argv=["true"])) as process:
        assert await process.wait() == 0


async def events_since(services: Services, number: int) -> list[Event]:
    return list((await services.events.list(since=number, limit=1000)).items)


async def test_more_nodes_than_connections_are_not_connected_again_and_again(
    services: Services, sshd: Sshd, seen: Seen
) -> None:
    await add_all(services, sshd)
    before = seen.logins.total()
    held = NAMES[-PLACES:]
    for _ in range(20):
        for name in held:
            await use(services, name)
    # those that made room stay as they are: logins are for who asks
    assert seen.logins.total() == before
    await use(services, NAMES[0])
    assert seen.logins.total() == before + 1
    status = await services.status()
    assert status.connections <= PLACES == status.max_connections


async def test_every_node_stays_known_and_logins_stay_bounded(
    services: Services, sshd: Sshd, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_watcher, "SAFETY_SECONDS", 0.5)
    monkeypatch.setattr(resting, "RESTING_SECONDS", 0.5)
    monkeypatch.setattr(resting, "APART_SECONDS", 0.1)
    await add_all(services, sshd)
    used = NAMES[:2]
    for name in used:
        await use(services, name)
    await seen.wait_for_looks(2)
    before = max((event.sequence for event in await events_since(services, 0)), default=0)
    logins, looks = seen.logins.copy(), seen.looks.copy()
    await seen.wait_for_looks(5)
    for name in NAMES:
        more = seen.logins[name] - logins[name]
        # what people use keeps its connection; the others are visited, with one login a visit at most
        assert more <= (0 if name in used else seen.looks[name] - looks[name] + 1), name
        node = await services.nodes.get(name)
        assert node.status == "connected"
        assert node.last_seen is not None
    assert await events_since(services, before) == []
    assert (await services.status()).connections <= PLACES


async def test_one_that_rests_is_shown_so_and_opened_when_asked_for(services: Services, sshd: Sshd, seen: Seen) -> None:
    await add_all(services, sshd)
    await use(services, NAMES[-1])
    resting = [node for node in (await services.nodes.list()).items if node.reason]
    assert len(resting) >= len(NAMES) - PLACES
    assert all(node.status == "connected" and "max_connections" in (node.reason or "") for node in resting)
    await use(services, resting[0].name)
    assert (await services.node_links.probe(resting[0].name)).reason is None


async def test_one_that_went_away_while_it_rested_is_found_out(
    services: Services, make_sshd: Any, sshd: Sshd, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_watcher, "SAFETY_SECONDS", 0.2)
    monkeypatch.setattr(resting, "RESTING_SECONDS", 0.2)
    monkeypatch.setattr(resting, "APART_SECONDS", 0.1)
    other = make_sshd()
    request = NodeRequest(name="gone", address=f"root@127.0.0.1:{other.port}", identity=str(other.key))
    await services.node_adding.add(request, Login(accept_new=True), actor="test")
    await add_all(services, sshd)
    other.stop()
    before = max(event.sequence for event in await events_since(services, 0))
    async with asyncio.timeout(60):
        async for event in services.events.watch(before):
            if (event.kind, event.subject) == ("node.connecting", "gone"):
                break
    with pytest.raises(ConnectFailed):
        await services.node_links.connect("gone", Login())
    breaker = (await services.nodes.get("gone")).breaker
    assert breaker is not None
    assert breaker.state in ("open", "half_open")
    assert breaker.failures >= 1
