"""A database that can't be used for a while: it is said, nothing is lost or mislabelled, and it goes on by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.integration.api.home import Home
from tests.testbed import Postgres, TestBed

from vendetta.api.app import create_app
from vendetta.api.composition import running_services
from vendetta.api.metrics import Metrics
from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.cluster.membership import LEASE_SECONDS
from vendetta.coordination.operations import Steps
from vendetta.models import Operation
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.store import group_commit, postgresql

PATIENCE_SECONDS = 120
OUTAGE_SECONDS = 30.0
"""What is promised to be sat out, in the thorough part."""
LONGER_THAN_A_LEASE = LEASE_SECONDS + 2.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for before it is called unavailable."""
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 1.0)


@asynccontextmanager
async def serving(home: Path, location: str) -> AsyncIterator[tuple[Services, httpx.AsyncClient]]:
    paths = Paths(config_dir=home, state_dir=home, runtime_dir=home)
    async with running_services(paths, ServerConfig(state_file=location)) as services:
        transport = httpx.ASGITransport(create_app(services, Metrics()), client=("uid:1000", 0))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield services, client


@pytest.fixture
async def on_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Services, httpx.AsyncClient]]:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serving(tmp_path, str(tmp_path / "state.db")) as served:
        yield served


class Work:
    """An operation of two steps: one waits to be let go, both write into the store."""

    def __init__(self, services: Services, result: str = "noted") -> None:
        self.services = services
        self.result = result
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        services.operations.register("thing.work", self)

    async def __call__(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        first = await steps.run("first", self._first)
        return {"first": first, "second": await steps.run("second", self._note)}

    async def submit(self) -> Operation:
        operation = await self.services.operations.submit(Ask("test"), "thing.work", "x", {})
        await asyncio.wait_for(self.begun.wait(), PATIENCE_SECONDS)
        return operation

    async def _first(self) -> str:
        self.begun.set()
        await self.go.wait()
        return await self._note()

    async def _note(self) -> str:
        await self.services.events.emit("thing.noted", "x")
        return self.result


async def check_refusals(client: httpx.AsyncClient, reason: str) -> None:
    """Of a change, and of being ready."""
    changed = await client.post("/api/v1/tokens", json={"name": "ci", "role": "user"})
    assert (changed.status_code, changed.json()["code"]) == (503, "server_unavailable"), changed.text
    assert reason in changed.json()["detail"]
    assert "Try again" in changed.json()["hint"]
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    # or, where it took long to ask, what came of it among the replicas
    assert any(said in ready.json()["detail"] for said in (reason, "the database did not answer")), ready.text
    assert (await client.get("/healthz")).status_code == 200


async def check_recovery(
    work: Work, operation: Operation, client: httpx.AsyncClient, watch: AsyncIterator[Any], *, long: bool = False
) -> None:
    """By itself: the operation ends as if nothing had been, who watches goes on, changes are taken."""
    ended = await asyncio.wait_for(work.services.operations.wait(operation.id, None), PATIENCE_SECONDS)
    assert ended.state == "succeeded"
    # where the database was away for longer than the lease, the server went on with it as with anybody's
    assert ended.attempts == 1 or (ended.attempts == 2 and long)
    assert ended.result == {"first": work.result, "second": work.result}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await anext(watch)).kind != "operation.succeeded":
            pass
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
    assert (await client.post("/api/v1/tokens", json={"name": "ci", "role": "user"})).status_code == 201


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """As a backup program does it that takes its time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_database_that_is_locked_by_another_process(
    on_sqlite: tuple[Services, httpx.AsyncClient], tmp_path: Path
) -> None:
    services, client = on_sqlite
    work, watch = Work(services), services.events.watch()
    operation = await work.submit()
    with locked(tmp_path / "state.db"):
        await check_refusals(client, "database is locked")
        work.go.set()
        await asyncio.sleep(0.5)
        assert (await services.operations.get(operation.id)).state == "running"
    await check_recovery(work, operation, client, watch)


@pytest.mark.root
def test_a_disk_that_is_full(home: Home) -> None:
    """The home is a small file system, seen by the server alone."""
    mount = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && exec "$@"'
    process = home.start("unshare", "--mount", "sh", "-c", mount, str(home.path))
    home.wait_until_ready(process)
    inside = Path(f"/proc/{process.pid}/root{home.path}")
    with httpx.Client(transport=httpx.HTTPTransport(uds=f"{inside}/server.sock"), base_url="http://server") as client:
        with suppress(OSError), (inside / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        token = {"name": "ci", "role": "user"}
        refused = client.post("/api/v1/tokens", json=token)
        assert (refused.status_code, refused.json()["code"]) == (503, "server_unavailable")
        assert "database or disk is full" in refused.json()["detail"]
        ready = client.get("/readyz")
        assert (ready.status_code, "disk is full" in ready.json()["detail"]) == (503, True)
        assert client.get("/api/v1/nodes").status_code == 200
        (inside / "filler").unlink()
        assert client.get("/readyz").status_code == 200
        assert client.post("/api/v1/tokens", json=token).status_code == 201
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0


async def test_a_step_that_could_not_be_recorded_is_recorded_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def limit(pages: int) -> None:
        for connection in connected:
            connection.execute(f"PRAGMA max_page_count={pages}")

    def keep(path: str, **options: Any) -> sqlite3.Connection:
        connected.append(connect(path, **options))
        return connected[-1]

    monkeypatch.setattr(sqlite3, "connect", keep)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serving(tmp_path, str(tmp_path / "state.db")) as (services, client):
        work, watch = Work(services, result="noted" * 50_000), services.events.watch()
        operation = await work.submit()
        limit(1)  # which is as many as there are
        with capture_logs() as logs:
            work.go.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not any("disk is full" in str(entry.get("reason")) for entry in logs):
                    await asyncio.sleep(0.05)
        assert (await services.operations.get(operation.id)).state == "running"
        limit(2**30)
        await check_recovery(work, operation, client, watch)


@pytest.fixture
def own_postgres(bed: TestBed) -> Postgres:
    return bed.postgres()


@pytest.mark.parametrize("seconds", [LONGER_THAN_A_LEASE, pytest.param(OUTAGE_SECONDS, marks=pytest.mark.thorough)])
async def test_a_postgresql_that_is_gone_for_a_while(
    own_postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serving(tmp_path, own_postgres.create_database()) as (services, client):
        work, watch = Work(services), services.events.watch()
        operation = await work.submit()
        await asyncio.to_thread(own_postgres.stop)
        await check_refusals(client, "PostgreSQL can't be reached")
        assert own_postgres.host not in (await client.get("/readyz")).text
        work.go.set()
        assert (await services.operations.get(operation.id)).state == "running"
        await asyncio.sleep(seconds)
        await asyncio.to_thread(own_postgres.start)
        await check_recovery(work, operation, client, watch, long=True)


async def test_a_postgresql_that_hangs(own_postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = postgresql.ANSWER_SECONDS
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 1.0)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serving(tmp_path, own_postgres.create_database()) as (services, client):
        work, watch = Work(services), services.events.watch()
        operation = await work.submit()
        own_postgres.pause()
        await check_refusals(client, "it doesn't answer")
        work.go.set()
        # once it answers, a busy machine may take longer than that
        monkeypatch.setattr(postgresql, "ANSWER_SECONDS", patient)
        own_postgres.resume()
        await check_recovery(work, operation, client, watch, long=True)
