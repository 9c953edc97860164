"""The whole server but its sockets: HTTP goes straight into the application."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.home import Home

from vendetta.api.app import create_app
from vendetta.api.composition import running_services
from vendetta.api.metrics import Metrics
from vendetta.api.services import Services
from vendetta.paths import Paths
from vendetta.settings import ServerConfig


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    config = ServerConfig(state_file=str(tmp_path / "state.db"), connection_timeout=5)
    async with running_services(paths, config) as services:
        yield services


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, Metrics())


@pytest.fixture
async def local(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller on the unix socket."""
    transport = httpx.ASGITransport(app, client=("uid:1000", 0))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def far(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller by TCP."""
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
def home() -> Iterator[Home]:
    """The path is short: it holds a socket."""
    with TemporaryDirectory(prefix="vdt-", dir="/var/tmp") as path:
        home = Home(Path(path))
        try:
            yield home
        finally:
            for process in home.servers:
                process.kill()
                process.communicate()
