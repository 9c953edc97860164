"""Two servers on one PostgreSQL, and nodes that they share: many names of one sshd on loopback."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.integration.replicas.servers import Server, running_server
from tests.integration.ssh.sshd import Sshd

NAMES = [f"n{number}" for number in range(8)]
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
def nodes(servers: tuple[Server, Server], sshd: Sshd) -> list[str]:
    """Added at one server or the other."""
    for number, name in enumerate(NAMES):
        add(servers[number % 2], name, sshd)
    return NAMES


def add(server: Server, name: str, sshd: Sshd) -> None:
    address = f"{sshd.user}@127.0.0.1:{sshd.port}"
    server.vendetta("node", "add", name, address, "--identity", str(sshd.key), "--accept-new")
