"""Two servers on one PostgreSQL, and nodes that they share: many names of one sshd on loopback; and one with Docker."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.servers import Server, running_server
from tests.integration.ssh.sshd import Sshd
from tests.testbed import Node

FEWEST = 6
QUICK = {"VENDETTA_KEEPALIVE_INTERVAL": "1", "VENDETTA_CONNECTION_TIMEOUT": "5"}


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    sshd = Sshd(tmp_path / "sshd", {"MaxStartups": "100"})
    sshd.start()
    yield sshd
    sshd.stop()


@pytest.fixture
def servers(database_url: str) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack:
        first = stack.enter_context(running_server("first", database_url, **QUICK))
        second = stack.enter_context(running_server("second", database_url, **QUICK))
        yield first, second


@pytest.fixture
def balancer(servers: tuple[Server, Server], tmp_path: Path) -> Iterator[Balancer]:
    """Leads to the first of them that answers."""
    balancer = Balancer(tmp_path / "lb.sock", servers)
    yield balancer
    balancer.close()


@pytest.fixture
def nodes(servers: tuple[Server, Server], sshd: Sshd) -> list[str]:
    """Added at one server or the other, until each watches one at least: which one does is chance."""
    return add_shared(servers, sshd)


@pytest.fixture
def workspace(servers: tuple[Server, Server], docker_node: Node) -> Iterator[str]:
    """Made at the first server."""
    name = f"w-{secrets.token_hex(4)}"
    first = servers[0].vendetta
    first.add_node("dock", docker_node)
    first.create(name, node="dock")
    yield name
    first("workspace", "remove", name, "--yes", "--force", status=None)


def add_shared(servers: Sequence[Server], sshd: Sshd) -> list[str]:
    names: list[str] = []
    while len(names) < FEWEST or not all(servers[0].held().values()):
        names.append(f"n{len(names)}")
        add(servers[len(names) % len(servers)], names[-1], sshd)
    return names


def add(server: Server, name: str, sshd: Sshd) -> None:
    address = f"{sshd.user}@127.0.0.1:{sshd.port}"
    server.vendetta("node", "add", name, address, "--identity", str(sshd.key), "--accept-new")
