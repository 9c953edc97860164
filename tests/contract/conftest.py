"""One engine of this machine for a test process, and the sites that the contract is held at."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.contract import local_engine
from tests.contract.local_engine import LocalEngine, running_engine
from tests.contract.local_transport import LocalTransport
from tests.contract.sites import Site, docker_site, memory_site, prepare_images

from vendetta.providers.base import Provider


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def engine() -> Iterator[LocalEngine]:
    if reason := local_engine.missing():
        pytest.skip(reason)
    with running_engine() as engine:
        asyncio.run(prepare_images(engine.socket_path))
        yield engine


@pytest.fixture
async def transport(engine: LocalEngine) -> AsyncIterator[LocalTransport]:
    transport = LocalTransport(engine.tcp_socket)
    yield transport
    await transport.close()


@pytest.fixture
async def docker(engine: LocalEngine, transport: LocalTransport) -> AsyncIterator[Site]:
    async with docker_site(transport, engine.socket_path) as site:
        yield site


@pytest.fixture
async def memory() -> AsyncIterator[Site]:
    async with memory_site() as site:
        yield site


@pytest.fixture(params=["memory", "docker"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each site in turn: the contract's tests run at all of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def provider(site: Site) -> Provider:
    return site.provider()
