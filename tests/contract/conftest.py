"""One engine of this machine for a test process, and the sites that the contract is held at.

A site is made for a module: its connection, and the instance that its tests share. Between tests it is cleared.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.contract import local_engine
from tests.contract.local_engine import LocalEngine, running_engine
from tests.contract.local_transport import LocalTransport
from tests.contract.qemu import prepare_node, qemu_site
from tests.contract.sites import (
    Site,
    Spec,
    bind_docker,
    daemon_site,
    docker_site,
    engine_restart,
    memory_site,
    prepare_images,
    prepare_lxc,
    sites_with,
    snatch_from,
    snatch_lxc,
    ssh_site,
)
from tests.testbed import Node, TestBed
from tests.testbed.guests import build_guest, missing_guests

from vendetta.providers.base import Provider
from vendetta.providers.lxc import Classic

PODMAN_SOCKET = "/run/podman/podman.sock"

DIALECTS = frozenset({"docker", "podman", "lxd"})
"""Sites with the provider of another one, behind another door or in front of another engine's dialect of one API.

Every run holds them to what is marked `every_engine`, the thorough part to everything.
"""

NODES = {
    "engine": "docker",
    "ssh_node": "ssh",
    "podman_node": "podman",
    "incus_node": "incus",
    "lxd_node": "lxd",
    "classic_node": "lxc",
    "qemu_node": "qemu",
}
"""The site of each fixture that takes long to start."""


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


@pytest.fixture(scope="module")
async def transport(engine: LocalEngine) -> AsyncIterator[LocalTransport]:
    transport = LocalTransport(engine.tcp_socket)
    yield transport
    await transport.close()


@pytest.fixture(scope="module")
async def docker(engine: LocalEngine, transport: LocalTransport) -> AsyncIterator[Site]:
    async with docker_site(transport, engine.socket_path) as site:
        yield site


@pytest.fixture(scope="session")
def ssh_node(bed: TestBed) -> Node:
    """A machine of its own, with the images of the contract. Its engine may be restarted."""
    node = bed.node(docker=True)
    asyncio.run(prepare_images(str(node.docker_socket)))
    return node


@pytest.fixture(scope="module")
async def ssh(ssh_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Docker on another machine."""
    async with ssh_site(
        ssh_node,
        tmp_path_factory.mktemp("ssh"),
        bind_docker(),
        snatch_from(str(ssh_node.docker_socket)),
        restart=engine_restart(ssh_node, "docker"),
    ) as site:
        yield site


@pytest.fixture(scope="session")
def podman_node(bed: TestBed) -> Node:
    node = bed.node(engines=["podman"], groups=["podman"])
    asyncio.run(prepare_images(str(node.path(PODMAN_SOCKET))))
    return node


@pytest.fixture(scope="module")
async def podman(podman_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The same provider with Podman behind the socket, which it has to find."""
    async with ssh_site(
        podman_node,
        tmp_path_factory.mktemp("podman"),
        bind_docker(),
        snatch_from(str(podman_node.path(PODMAN_SOCKET))),
        restart=engine_restart(podman_node, "podman"),
        cuts=3,
    ) as site:
        yield site


@pytest.fixture(scope="session")
def incus_node(bed: TestBed) -> Node:
    """A machine of its own. Its daemon may be restarted."""
    return bed.node(engines=["incus"], groups=["incus-admin"])


@pytest.fixture(scope="module")
async def incus(incus_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with daemon_site(incus_node, tmp_path_factory.mktemp("incus"), "incus") as site:
        yield site


@pytest.fixture(scope="session")
def lxd_node(bed: TestBed) -> Node:
    """A machine of its own. Its daemon may be restarted."""
    return bed.node(engines=["lxd"], groups=["lxd"])


@pytest.fixture(scope="module")
async def lxd(lxd_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with daemon_site(lxd_node, tmp_path_factory.mktemp("lxd"), "lxd") as site:
        yield site


@pytest.fixture(scope="session")
def classic_node(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A machine with classic LXC, and the image of the contract."""
    node = bed.node(engines=["lxc"], sudo="nopasswd")
    asyncio.run(prepare_lxc(node, tmp_path_factory.mktemp("lxc")))
    return node


@pytest.fixture(scope="module")
async def lxc(classic_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with ssh_site(classic_node, tmp_path_factory.mktemp("lxc"), Classic, snatch_lxc(classic_node)) as site:
        yield site


@pytest.fixture(scope="session")
def qemu_node(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A machine of its own, with the guest of the tests."""
    if reason := missing_guests():
        pytest.skip(reason)
    node = bed.node()
    asyncio.run(prepare_node(node, build_guest(), tmp_path_factory.mktemp("prepare")))
    return node


@pytest.fixture(scope="module")
async def qemu(qemu_node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with qemu_site(qemu_node, build_guest(), tmp_path_factory.mktemp("qemu")) as site:
        yield site


@pytest.fixture(scope="module")
async def memory() -> AsyncIterator[Site]:
    async with memory_site() as site:
        yield site


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs at all sites that have what it needs: `@pytest.mark.needs("logs", "commands")`."""
    if "standing_site" in metafunc.fixturenames:
        needs = [need for marker in metafunc.definition.iter_markers("needs") for need in marker.args]
        everywhere = metafunc.definition.get_closest_marker("every_engine") is not None
        apart = metafunc.definition.get_closest_marker("apart") is not None
        sites = [
            mark_site(name, f"{name} apart" if apart else name, thorough=name in DIALECTS and not everywhere)
            for name in sites_with(needs)
        ]
        metafunc.parametrize("standing_site", sites, indirect=True)


def mark_site(name: str, group: str, thorough: bool) -> Any:
    """A site's tests are run by one worker, which has it. `thorough`: only where the thorough part is run."""
    marks = [pytest.mark.xdist_group(group)]
    return pytest.param(name, marks=[*marks, pytest.mark.thorough] if thorough else marks)


def pytest_itemcollected(item: pytest.Item) -> None:
    """What is about one engine alone is run by the worker that has it."""
    for fixture in getattr(item, "fixturenames", ()):
        if fixture in NODES and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(NODES[fixture]))


@pytest.fixture
def standing_site(request: pytest.FixtureRequest) -> Site:
    """The fixture of the site's name."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def site(standing_site: Site) -> AsyncIterator[Site]:
    yield standing_site
    await standing_site.clear()


@pytest.fixture
async def running(site: Site) -> Provider:
    """A provider with an instance `SHARED` that runs, for a test that leaves it as it is."""
    return await site.running()


@pytest.fixture
def provider(site: Site) -> Provider:
    return site.provider()


@pytest.fixture
def spec(site: Site) -> Spec:
    """Makes specs for the site: `spec(env={...})`."""
    return site.spec
