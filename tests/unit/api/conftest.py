"""The HTTP side, served for real on a unix socket and on TCP, in front of services in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.unit.api.fakes import build_services
from websockets.asyncio.client import connect, unix_connect

from vendetta.api import process
from vendetta.api.listeners import describe, listen_on_socket, listen_on_tcp
from vendetta.api.process import Server
from vendetta.api.services import Services


@dataclass(frozen=True)
class Served:
    """`services` are the fakes, so their type is no help here."""

    services: Any
    socket: Path
    url: str
    local: httpx.AsyncClient
    far: httpx.AsyncClient

    def channel(self, path: str) -> "unix_connect":
        return unix_connect(str(self.socket), f"ws://server/api/v1{path}", compression=None)

    def far_channel(self, path: str, token: str | None = None) -> "connect":
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return connect(f"ws{self.url[4:]}/api/v1{path}", additional_headers=headers, proxy=None)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, instead of being written."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def services() -> Services:
    return build_services()


@pytest.fixture
def grace_seconds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long requests may go on: a test may give another. Pings come sooner than they would."""
    monkeypatch.setattr(process, "PING_SECONDS", 0.1)
    if hasattr(request, "param"):
        monkeypatch.setattr(process, "GRACE_SECONDS", request.param)


@pytest.fixture
async def served(services: Services, grace_seconds: None, tmp_path: Path) -> AsyncIterator[Served]:
    """Stopped in order in the end, which must not take the time that it may."""
    socket = tmp_path / "s"
    with ExitStack() as stack:
        sockets = [stack.enter_context(listen_on_socket(socket)), stack.enter_context(listen_on_tcp("127.0.0.1:0"))]
        url = describe(sockets[1])
        serving = asyncio.create_task(Server(services).serve(sockets))
        unix = httpx.AsyncHTTPTransport(uds=str(socket))
        async with (
            httpx.AsyncClient(transport=unix, base_url="http://server") as local,
            httpx.AsyncClient(base_url=url, trust_env=False) as far,
        ):
            yield Served(services, socket, url, local, far)
        services.stopping.set()
        await asyncio.wait_for(serving, 30)
