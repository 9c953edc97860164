"""Nodes that are an sshd on loopback: enough for the link, and started in a tenth of a second."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from tests.integration.ssh.sshd import Sshd

from vendetta.ssh.connection import Connection
from vendetta.ssh.connector import Connector
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.host_keys import HostKeys
from vendetta.ssh.keys import Keys

ACCEPT = Login(accept_new=True)


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
        self.host_keys = HostKeys(self.pins_file, [self.known_hosts])

    def keys(self, **options: Any) -> Keys:
        return Keys(self.directory / "keys", self.ssh_dir, **options)

    def connector(self, keys: Keys | None = None, **options: Any) -> Connector:
        options.setdefault("ssh_config", [self.ssh_config])
        options.setdefault("connection_timeout_seconds", 20.0)
        return Connector(self.host_keys, keys or self.keys(), **options)


def endpoint(sshd: Sshd, node: str = "n", **changes: Any) -> Endpoint:
    route = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "identity": str(sshd.key), **changes}
    return Endpoint(node=node, **route)


@pytest.fixture(scope="session", autouse=True)
def require_root() -> None:
    if os.geteuid() or not Path("/usr/sbin/sshd").exists():
        pytest.skip("needs root and openssh-server: sshd starts sessions of its user")


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[MakeSshd]:
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
    directory = Path(tempfile.mkdtemp(prefix="vendetta-sshd-"))  # short, for the sockets in it
    sshd = Sshd(directory / "sshd", {})
    try:
        sshd.start()
        yield sshd
    finally:
        sshd.stop()
        shutil.rmtree(directory)


@pytest.fixture
def side(tmp_path: Path) -> Side:
    return Side(tmp_path / "side")


@pytest.fixture
async def connection(sshd: Sshd, side: Side) -> AsyncIterator[Connection]:
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    yield connection
    await connection.close()
