"""Where the contract is held: a node with a technology on it.

One more site in `SITES`, and a fixture of its name in conftest.py, and the whole suite runs there.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp
from tests.contract.images import build_root, build_system_root, import_image
from tests.contract.links import open_link
from tests.contract.local_transport import LocalTransport
from tests.doubles.memory import MemoryEngines, MemoryProvider
from tests.testbed import Node

from vendetta.models import InstanceSpec, Progress
from vendetta.providers.base import Provider
from vendetta.providers.docker import DockerProvider
from vendetta.providers.lxc import Classic, Daemon
from vendetta.providers.powers import POWERS, capabilities
from vendetta.providers.qemu import QemuProvider
from vendetta.transport import Output, Process, Transport

IMAGE = "tools"
"""Has `sh`, `cat` and their like, and a command of its own that ends at once."""

QUIET_IMAGE = "quiet"
"""Has no command at all."""

SHELL_LESS_IMAGE = "bare"
"""Has no `sh`, and a command that goes on."""


SITES: Mapping[str, type[Provider]] = {
    "memory": MemoryProvider,
    "docker": DockerProvider,
    "ssh": DockerProvider,
    "podman": DockerProvider,
    "incus": Daemon,
    "lxd": Daemon,
    "lxc": Classic,
    "qemu": QemuProvider,
}
"""The technology of each site. What it can do is read from the class."""

WITHOUT: Mapping[str, frozenset[str]] = {
    "memory": frozenset({"ssh", "restarts", "limits", "pids", "fractions", "mounts"}),
    "docker": frozenset({"ssh", "restarts"}),
    "incus": frozenset({"commands", "resize"}),
    "lxd": frozenset({"commands", "resize"}),
    "lxc": frozenset({"commands", "restarts"}),
    # a VM runs what its image starts, on processors and a network of its own
    "qemu": frozenset({"restarts", "commands", "addresses", "pids", "fractions", "mounts"}),
}
"""What a site can't do though its kind has the power, or that isn't a power.

`commands`: a spec's own command is what runs. `addresses`: an instance has one of its own, which the node reaches.
`limits`, `pids`, `fractions`: memory, processes, and less than a processor are really limited.
`mounts`: a folder of the node can be seen inside. `ssh`: it is reached by SSH. `restarts`: it has a daemon that can be.
"""

SHARED = "shared"
"""The name, and the owner, of the instance that the tests of a module share."""

Spec = Callable[..., InstanceSpec]
Bind = Callable[[Transport, str], Provider]
"""Makes a provider of a way to the node, and an owner."""


def sites_with(needs: Iterable[str]) -> list[str]:
    """The names of the sites that have all of these powers, and are without none of them."""
    wanted = frozenset(needs)
    return [
        name
        for name, cls in SITES.items()
        if wanted & POWERS.keys() <= capabilities(cls) and not wanted & WITHOUT.get(name, frozenset())
    ]


@dataclass
class Site:
    """`bind` and `transport` make a provider; `snatch(name)` takes an instance away behind its back.

    `image` has `sh`, `cat` and their like; `fields` are what every spec has here. `restart` restarts the engine.
    `node` is what is reached by SSH. Where an instance takes long to start, `crowd` says how many run at once, and
    `cuts` at how many points an action is cut off.
    """

    bind: Bind
    transport: Transport
    snatch: Callable[[str], Awaitable[None]]
    image: str = IMAGE
    absent_image: str = "127.0.0.1:1/no-such-image"
    fields: Mapping[str, Any] = field(default_factory=dict)
    node: Node | None = None
    restart: Callable[[], Awaitable[None]] | None = None
    crowd: int = 20
    cuts: int = 6
    bound: dict[str, Provider] = field(default_factory=dict)

    def spec(self, **fields: Any) -> InstanceSpec:
        return InstanceSpec(**{"image": self.image, **self.fields, **fields})

    def provider(self, owner: str = "us") -> Provider:
        if owner not in self.bound:
            self.bound[owner] = self.bind(self.transport, owner)
        return self.bound[owner]

    async def running(self) -> Provider:
        """With an instance `SHARED` that runs: made by the first who asks, for all who don't change it."""
        await started(self.provider(SHARED), SHARED, self.spec(env={"FROM_SPEC": "spec"}))
        return self.provider(SHARED)

    async def clear(self) -> None:
        """After each test: what is shared stays."""
        for owner in self.bound.keys() - {SHARED}:
            await _clear(self.bound.pop(owner))

    async def close(self) -> None:
        while self.bound:
            await _clear(self.bound.popitem()[1])


async def _clear(provider: Provider) -> None:
    try:
        await asyncio.gather(*(provider.remove(instance.name, force=True) for instance in await provider.list()))
    finally:
        await provider.close()


@asynccontextmanager
async def memory_site() -> AsyncIterator[Site]:
    engines = MemoryEngines()
    engine = engines["local"]
    engine.images = {IMAGE: ("true",), QUIET_IMAGE: None}

    async def snatch(name: str) -> None:
        await engine.instances.pop(name).stop()

    site = Site(engines.bind, LocalTransport(), snatch)
    try:
        yield site
    finally:
        await site.close()
        await engines.close()


@asynccontextmanager
async def docker_site(
    transport: Transport, socket_path: str, *, docker_config: Path | None = None
) -> AsyncIterator[Site]:
    """On the engine behind `socket_path`, which has the images of `prepare_images`."""
    site = Site(bind_docker(socket_path, docker_config), transport, snatch_from(socket_path))
    try:
        yield site
    finally:
        await site.close()


@asynccontextmanager
async def ssh_site(
    node: Node, directory: Path, bind: Bind, snatch: Callable[[str], Awaitable[None]], **fields: Any
) -> AsyncIterator[Site]:
    """A technology on another machine, as the server reaches it: through one SSH connection. `fields` are a `Site`'s.

    `directory` is for our side's keys.
    """
    async with open_link(node, directory) as connection:
        site = Site(bind, connection, snatch, node=node, **fields)
        try:
            yield site
        finally:
            await site.close()


def bind_docker(socket_path: str | None = None, docker_config: Path | None = None) -> Bind:
    def bind(transport: Transport, owner: str) -> Provider:
        return DockerProvider(transport, owner, socket_path=socket_path, docker_config=docker_config)

    return bind


def snatch_from(socket_path: str) -> Callable[[str], Awaitable[None]]:
    """From the engine behind this socket of this machine."""

    async def snatch(name: str) -> None:
        async with (
            engine_session(socket_path) as session,
            session.delete(f"http://docker/containers/vendetta-{name}", params={"force": "1"}) as response,
        ):
            response.raise_for_status()

    return snatch


def bind_daemon(dialect: str) -> Bind:
    def bind(transport: Transport, owner: str) -> Provider:
        return Daemon(transport, owner, dialect)

    return bind


@asynccontextmanager
async def daemon_site(node: Node, directory: Path, name: Literal["incus", "lxd"]) -> AsyncIterator[Site]:
    """Incus or LXD on another machine, which is given the image of the contract."""
    program = {"incus": "incus", "lxd": "lxc"}[name]

    async def snatch(instance: str) -> None:
        await asyncio.to_thread(node.run, [program, "delete", "--force", f"vendetta-{instance}"])

    restart = engine_restart(node, name)
    async with ssh_site(
        node, directory, bind_daemon(name), snatch, restart=restart, absent_image="no-such-image"
    ) as site:
        root = directory / "root.tar"
        root.write_bytes(build_system_root())
        provider = Daemon(site.transport, "images", name)
        await provider.push_image(IMAGE, root, ignore_progress)
        await provider.close()
        yield site


async def prepare_lxc(node: Node, directory: Path) -> None:
    """Gives a node with classic LXC the image of the contract. `directory` is for our side's keys, and its file."""
    file = directory / f"{IMAGE}.tar"
    file.write_bytes(build_root())
    async with open_link(node, directory) as connection:
        await Classic(connection, "images").push_image(IMAGE, file, ignore_progress)


def snatch_lxc(node: Node) -> Callable[[str], Awaitable[None]]:
    async def snatch(name: str) -> None:
        await asyncio.to_thread(node.run, ["lxc-destroy", "--force", "--name", f"vendetta-{name}"])

    return snatch


def engine_restart(node: Node, engine: str) -> Callable[[], Awaitable[None]]:
    """For `Site.restart`."""

    async def restart() -> None:
        await asyncio.to_thread(node.restart_engine, engine)

    return restart


@asynccontextmanager
async def engine_session(socket_path: str, transport: Transport | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """The way to an engine past the provider, for what a test arranges. Without a transport: on this machine."""
    connector = transport.http(socket_path) if transport else aiohttp.UnixConnector(socket_path)
    async with aiohttp.ClientSession(connector=connector, connector_owner=transport is None) as session:
        yield session


async def prepare_images(socket_path: str, transport: Transport | None = None) -> None:
    root, bare = build_root(), build_root(applets=["sleep"])
    async with engine_session(socket_path, transport) as session:
        await import_image(session, IMAGE, root, ['CMD ["true"]', "ENV PATH=/bin"])
        await import_image(session, QUIET_IMAGE, root, ["ENV PATH=/bin"])
        await import_image(session, SHELL_LESS_IMAGE, bare, ['ENTRYPOINT ["sleep"]', 'CMD ["1000"]', "ENV PATH=/bin"])


def ignore_progress(_: Progress) -> None:
    """For a test that looks at something else."""


async def started(provider: Provider, name: str, spec: InstanceSpec) -> None:
    await provider.create(name, spec, ignore_progress)
    await provider.start(name)


async def finish(process: Process, input: bytes | None = None) -> tuple[bytes, bytes, int]:
    """Its stdout, stderr and exit status."""
    try:
        if input is not None:
            await process.write(input)
        await process.write_eof()
        outputs: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        while (piece := await process.read()) is not None:
            outputs[piece.channel] += piece.data
        return bytes(outputs["stdout"]), bytes(outputs["stderr"]), await process.wait()
    finally:
        await process.close()


async def gather_output(pieces: AsyncIterator[Output]) -> bytes:
    return b"".join([piece.data async for piece in pieces])
