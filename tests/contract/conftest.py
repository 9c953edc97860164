"""One engine of this machine for a test process, and the sites that the contract is held at."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract import local_engine
from tests.contract.local_engine import LocalEngine, running_engine
from tests.contract.local_transport import LocalTransport
from tests.contract.sites import Site, Spec, docker_site, memory_site, prepare_images, sites_with
from tests.testbed import Node

from vendetta.providers.base import Provider
from vendetta.ssh.connector import Connector
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.host_keys import HostKeys
from vendetta.ssh.keys import Keys

DOCKER_SOCKET = "/var/run/docker.sock"


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


@pytest.fixture(scope="session")
def ssh_node(docker_node: Node) -> Node:
    """A machine of its own, with the images of the contract."""
    asyncio.run(prepare_images(str(docker_node.docker_socket)))
    return docker_node


@pytest.fixture
async def ssh(ssh_node: Node, tmp_path: Path) -> AsyncIterator[Site]:
    """Docker on another machine, as the server reaches it: through one SSH connection."""
    connector = Connector(HostKeys(tmp_path / "pins"), Keys(tmp_path / "keys", tmp_path / "none"))
    endpoint = Endpoint(node="gpu", host=ssh_node.address, user=ssh_node.user, identity=str(ssh_node.key))
    connection = await connector.open(endpoint, Login(accept_new=True))
    try:
        async with docker_site(connection, DOCKER_SOCKET) as site:
            yield site
    finally:
        await connection.close()


@pytest.fixture
async def memory() -> AsyncIterator[Site]:
    async with memory_site() as site:
        yield site


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs at all sites that have what it needs: `@pytest.mark.needs("logs", "commands")`."""
    if "site" in metafunc.fixturenames:
        needs = [need for marker in metafunc.definition.iter_markers("needs") for need in marker.args]
        metafunc.parametrize("site", sites_with(needs), indirect=True)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """The fixture of the site's name."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def provider(site: Site) -> Provider:
    return site.provider()


@pytest.fixture
def spec(site: Site) -> Spec:
    """Makes specs for the site: `spec(env={...})`."""
    return site.spec
