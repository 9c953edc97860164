"""Two kinds of nodes: those of the test bed, and an sshd on loopback, enough for the link and started at once."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.integration.ssh.sshd import Sshd
from tests.testbed import Node

from vendetta.api.composition import running_services
from vendetta.api.services import Services
from vendetta.coordination.requests import NodeRequest
from vendetta.errors import VendettaError
from vendetta.paths import Paths
from vendetta.settings import ServerConfig
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector

ACCEPT = Login(accept_new=True)


Opening = Callable[[Node], AbstractAsyncContextManager[Connection]]


class MakeSshd(Protocol):
    def __call__(self, **options: str) -> Sshd: ...


class Side:
    """Our side of the link, with nothing of this machine's user in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ssh_dir = directory / "ssh"
        self.ssh_dir.mkdir(parents=True)
        self.pins_file = directory / "state" / "known_hosts"
        self.known_hosts = self.ssh_dir / "known_hosts"
        self.ssh_config = self.ssh_dir / "config"
        self.connectors: list[Connector] = []
        self.host_keys = HostKeys(self.pins_file, [self.known_hosts])

    def keys(self, **options: Any) -> Keys:
        return Keys(self.directory / "keys", self.ssh_dir, **options)

    def connector(self, keys: Keys | None = None, **options: Any) -> Connector:
        options.setdefault("ssh_config", [self.ssh_config])
        options.setdefault("connection_timeout_seconds", 20.0)
        connector = Connector(self.host_keys, keys or self.keys(), **options)
        self.connectors.append(connector)
        return connector


def endpoint(sshd: Sshd, node: str = "n", **changes: Any) -> Endpoint:
    route = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "identity": str(sshd.key), **changes}
    return Endpoint(node=node, **route)


def endpoint_of(node: Node, name: str = "gpu", **changes: Any) -> Endpoint:
    """A node of the test bed, with the key that it knows."""
    route = {"host": node.address, "port": node.port, "user": node.user, "identity": str(node.key), **changes}
    return Endpoint(node=name, **route)


class Told:
    """What the pool's observer hears, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def connecting(self, node: str) -> None:
        self.heard.append(("connecting", node))

    def connected(self, node: str, connection: Connection) -> None:
        self.heard.append(("connected", node))

    def lost(self, node: str, error: VendettaError) -> None:
        self.heard.append(("lost", node))

    def failed(self, node: str, error: VendettaError) -> None:
        self.heard.append(("failed", node))

    def closed(self, node: str) -> None:
        self.heard.append(("closed", node))

    def rested(self, node: str) -> None:
        self.heard.append(("rested", node))


@pytest.fixture
def host_keys(tmp_path: Path) -> HostKeys:
    return HostKeys(tmp_path / "known_hosts")


@pytest.fixture
async def connector(tmp_path: Path, host_keys: HostKeys) -> AsyncIterator[Connector]:
    keys = Keys(tmp_path / "keys", tmp_path / "ssh")
    connector = Connector(host_keys, keys, connection_timeout_seconds=10, keepalive_seconds=0.5)
    yield connector
    await connector.close()


@pytest.fixture
def opened(connector: Connector) -> Opening:
    @asynccontextmanager
    async def opened(node: Node) -> AsyncIterator[Connection]:
        connection = await connector.open(endpoint_of(node), ACCEPT)
        try:
            yield connection
        finally:
            await connection.close()

    return opened


async def add(services: Services, node: Node, name: str, **fields: Any) -> None:
    request = NodeRequest(name=name, address=f"{node.user}@{node.address}", identity=str(node.key), **fields)
    await services.node_adding.add(request, ACCEPT, actor="test")


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    async with running_services(paths, ServerConfig(state_file=str(tmp_path / "state.db"))) as services:
        yield services


@pytest.fixture
async def agent(side: Side) -> AsyncIterator[Path]:
    """The socket of an ssh-agent that holds nothing yet."""
    path = side.directory / "agent.sock"
    argv = ["setpriv", "--pdeathsig", "KILL", "ssh-agent", "-D", "-a", str(path)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()  # it says where it listens once it does
    yield path
    process.terminate()
    await process.communicate()


def require_root() -> None:
    if os.geteuid() or not Path("/usr/sbin/sshd").exists():
        pytest.skip("needs root and openssh-server: sshd starts sessions of its user")


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[MakeSshd]:
    require_root()
    made: list[Sshd] = []

    def make(**options: str) -> Sshd:
        sshd = Sshd(tmp_path / f"sshd{len(made)}", options)
        made.append(sshd)
        sshd.start()
        return sshd

    yield make
    for sshd in made:
        sshd.stop()


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """Shared: leave it as you found it."""
    require_root()
    directory = Path(tempfile.mkdtemp(prefix="vendetta-sshd-"))  # short, for the sockets in it
    sshd = Sshd(directory / "sshd", {})
    try:
        sshd.start()
        yield sshd
    finally:
        sshd.stop()
        shutil.rmtree(directory)


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    side = Side(tmp_path / "side")
    yield side
    for connector in side.connectors:
        await connector.close()


@pytest.fixture
async def connection(sshd: Sshd, side: Side) -> AsyncIterator[Connection]:
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    yield connection
    await connection.close()
