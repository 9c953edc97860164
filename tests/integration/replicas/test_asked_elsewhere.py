"""A node that another replica watches, asked here because somebody wants to know: what is written of it is fenced.

And who waits here for its link hears of it from the other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.integration.ssh.sshd import Sshd
from tests.unit.store.test_claims import LEASE_SECONDS, make_replica

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.engines import Engines
from vendetta.coordination.monitoring import node_reader as reading
from vendetta.coordination.monitoring import node_visits
from vendetta.coordination.requests import NodeRequest
from vendetta.errors import Busy
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Login
from vendetta.store import Store

OTHER = "other"


@pytest.fixture
async def services(
    tmp_path: Path, sshd: Sshd, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    """With a node that another replica has claimed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=database_url)) as services:
        address = f"{sshd.user}@127.0.0.1:{sshd.port}"
        request = NodeRequest(name="gpu", address=address, identity=str(sshd.key))
        await services.node_adding.add(request, Login(accept_new=True), actor="test")
        # nobody looks at it but who is asked to
        await services.node_links.disconnect("gpu", actor="test")
        async with Store.open(database_url) as store:
            await store.replicas.join(make_replica(OTHER), LEASE_SECONDS)
        claim_anew(database_url)
        yield services


def claim_anew(database_url: str) -> None:
    """By the other one."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE nodes SET watcher = %s, term = term + 1", (OTHER,))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What each look at the node finds, one after another; what is to happen before it is written."""

    def seen(*findings: tuple[str, Callable[[], None]]) -> list[str]:
        left, looks, probe = list(findings), list[str](), reading.probe

        async def prepared(connection: Connection, engines: Engines) -> reading.Findings:
            found = await probe(connection, engines)
            word, meanwhile = left.pop(0)
            looks.append(word)
            await asyncio.to_thread(meanwhile)
            return replace(found, capabilities=[word])

        monkeypatch.setattr(reading, "probe", prepared)
        return looks

    return seen


def nothing() -> None:
    return


async def test_what_is_seen_is_written_though_another_watches(
    services: Services, seen: Callable[..., list[str]]
) -> None:
    seen(("one", nothing), ("two", nothing))
    assert (await services.node_links.probe("gpu")).capabilities in (["one"], ["two"])


async def test_what_was_seen_before_the_node_was_claimed_anew_is_not_written(
    services: Services, seen: Callable[..., list[str]], database_url: str
) -> None:
    await services.node_links.probe("gpu")
    looks = seen(("stale", lambda: claim_anew(database_url)), ("fresh", nothing))
    assert (await services.node_links.probe("gpu")).capabilities == ["fresh"]
    assert looks == ["stale", "fresh"]


async def test_where_it_changes_hands_all_the_time_nothing_is_written(
    services: Services, seen: Callable[..., list[str]], database_url: str
) -> None:
    before = (await services.node_links.probe("gpu")).capabilities
    looks = seen(*[("stale", lambda: claim_anew(database_url))] * node_visits.REFRESHED)
    with pytest.raises(Busy, match="went to another replica while it was asked"):
        await services.node_links.probe("gpu")
    assert looks == ["stale"] * node_visits.REFRESHED
    assert (await services.nodes.get("gpu")).capabilities == before


async def test_who_waits_for_its_link_hears_from_its_watcher_that_it_is_back(
    services: Services, database_url: str
) -> None:
    back = services.operations.waiting.expect("gpu")
    async with Store.open(database_url) as other:
        await other.events.append("node.connected", "gpu", "server", {})
    async with asyncio.timeout(30):
        await back.wait()
