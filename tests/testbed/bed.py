"""A test bed: real Linux nodes on one machine, side by side on a bridge of their own, gone when it is closed.

It needs root, and touches nothing of the machine: no user, no file, no service. Everything that must not be left
behind belongs to a keeper process (keeper.py), which ends with the bed however the bed ends.
"""

import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from . import files
from .keeper_client import KeeperClient
from .node import Node, NodeSpec
from .postgres import Postgres
from .registry import Registry
from .requirements import ENGINES, NODE, POSTGRES, REGISTRY, require

MASKED = ("/tmp", "/run", "/home", "/root", "/etc", "/proc", "/sys", "/var/log", "/var/lib/docker")


class TestBed:
    """`with TestBed() as bed: node = bed.node(docker=True)`. May be used from several threads.

    `directory` must not exist yet, nor lie below what a node has of its own (`/tmp`, `/run`, `/home` …).
    """

    __test__ = False  # pytest takes the name for a test's

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (directory or Path("/var/tmp") / f"vendetta-bed-{secrets.token_hex(4)}").absolute()
        if any(self.directory.is_relative_to(path) for path in MASKED):
            raise ValueError(f"{self.directory}: a node doesn't see what lies below {', '.join(MASKED)}")
        self._lock = threading.Lock()
        self._numbers = iter(range(1, 254))
        self._database_ports = iter(range(5432, 6000))
        self._closing = ExitStack()

    def __enter__(self) -> "TestBed":
        require(NODE)
        self._keeper = KeeperClient(self.directory)
        self._closing.callback(self._keeper.close)
        files.generate_key(self.key)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._closing.close()

    @property
    def key(self) -> Path:
        """The private key that every node of the bed accepts."""
        return self.directory / "id_ed25519"

    @property
    def gateway(self) -> str:
        """This machine's own address, as the nodes see it."""
        return str(self._keeper.subnet[1])

    @property
    def bridge(self) -> str:
        return self._keeper.bridge

    @property
    def keeper_pid(self) -> int:
        return self._keeper.pid

    def node(
        self,
        *,
        docker: bool | Mapping[str, Any] = False,
        engines: Sequence[str] = (),
        in_docker_group: bool = True,
        groups: Sequence[str] = (),
        docker_disk_bytes: int | None = None,
        sshd: Mapping[str, str] | None = None,
        port: int = 22,
        host_keys: Sequence[str] = ("ed25519",),
        sudo: Literal["nopasswd", "password"] | None = None,
        password: str = "secret",
        own_boot_id: bool = False,
    ) -> Node:
        """A node, up: its sshd listens, its engines (where asked for) answer.

        `engines` are names of files in engines/, beside `docker`, which may hold settings for daemon.json. The user is
        in `groups` as well. With `docker_disk_bytes` the engine's disk is that
        small, and empty again after each boot. `sshd` holds options of sshd_config, which win over the bed's.
        With `own_boot_id` each boot has another one, but no namespace of a user there gets a /proc of its own.
        """
        engines = [*(["docker"] if docker is not False else []), *engines]
        for engine in engines:
            require(ENGINES[engine])
        with self._lock:
            number = next(self._numbers)
        spec = NodeSpec(
            name=f"node-{number}",
            address=str(self._keeper.subnet[number + 1]),
            link=f"{self._keeper.bridge}-{number}",
            bridge=self._keeper.bridge,
            subnet=str(self._keeper.subnet),
            directory=self.directory / f"node-{number}",
            key=self.key,
            engines=engines,
            docker={} if isinstance(docker, bool) else dict(docker),
            groups=[*(["docker"] if "docker" in engines and in_docker_group else []), *groups],
            docker_disk_bytes=docker_disk_bytes,
            sshd=dict(sshd or {}),
            port=port,
            host_keys=tuple(host_keys),
            sudo=sudo,
            password=password,
            own_boot_id=own_boot_id,
        )
        node = Node(spec, self._keeper)
        node.boot()
        return node

    def nodes(self, count: int, **options: Any) -> list[Node]:
        """Several, started side by side; `options` are those of `node`."""
        with ThreadPoolExecutor() as starting:
            return list(starting.map(lambda _: self.node(**options), range(count)))

    def registry(self, *, credentials: tuple[str, str] | None = None) -> Registry:
        """An image registry that the nodes reach; with `credentials` (user, password) it demands them."""
        require(REGISTRY)
        with self._lock:
            directory = self.directory / f"registry-{secrets.token_hex(4)}"
            registry = Registry(directory, self._keeper, self.gateway, credentials)
            self._closing.callback(registry.close)
        return registry

    def postgres(self) -> Postgres:
        """A PostgreSQL server on the bed's own address, up."""
        require(POSTGRES)
        # its account has to come through to its folder
        self.directory.chmod(0o711)
        with self._lock:
            port = next(self._database_ports)
        return Postgres(self.directory / f"postgres-{port}", self._keeper, self.gateway, port)
