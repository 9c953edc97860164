"""Where the contract is held: a node with a technology on it.

One more site in `SITES`, and a fixture of its name in conftest.py, and the whole suite runs there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.contract.images import build_root, import_image

from vendetta.models import InstanceSpec, Progress
from vendetta.providers.base import Provider
from vendetta.providers.docker import DockerProvider
from vendetta.providers.memory import MemoryEngines, MemoryProvider
from vendetta.providers.powers import POWERS, capabilities
from vendetta.transport import Output, Process, Transport

IMAGE = "tools"
"""Has `sh`, `cat` and their like, and a command of its own that ends at once."""

QUIET_IMAGE = "quiet"
"""Has no command at all."""

SHELL_LESS_IMAGE = "bare"
"""Has no `sh`, and a command that goes on."""


SITES: Mapping[str, type[Provider]] = {"memory": MemoryProvider, "docker": DockerProvider, "ssh": DockerProvider}
"""The technology of each site. What it can do is read from the class."""

WITHOUT: Mapping[str, frozenset[str]] = {}
"""What a site can't do though its kind has the power, or that isn't a power.

`commands`: a spec's own command is what runs. `addresses`: an instance has one of its own, which the node reaches.
`limits`: memory, processors and processes are really limited.
"""


Spec = Callable[..., InstanceSpec]


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
    """`connect(owner)` binds a provider; `snatch(name)` takes an instance away behind its back.

    `image` has `sh`, `cat` and their like; `fields` are what every spec has here.
    """

    connect: Callable[[str], Provider]
    snatch: Callable[[str], Awaitable[None]]
    image: str = IMAGE
    absent_image: str = "127.0.0.1:1/no-such-image"
    fields: Mapping[str, Any] = field(default_factory=dict)
    bound: dict[str, Provider] = field(default_factory=dict)

    def spec(self, **fields: Any) -> InstanceSpec:
        return InstanceSpec(**{"image": self.image, **self.fields, **fields})

    def provider(self, owner: str = "us") -> Provider:
        if owner not in self.bound:
            self.bound[owner] = self.connect(owner)
        return self.bound[owner]

    async def clear(self) -> None:
        for provider in self.bound.values():
            for instance in await provider.list():
                await provider.remove(instance.name, force=True)
            await provider.close()


@asynccontextmanager
async def memory_site() -> AsyncIterator[Site]:
    engines = MemoryEngines()
    engine = engines["node"]
    engine.images = {IMAGE: ("true",), QUIET_IMAGE: None}

    async def snatch(name: str) -> None:
        await engine.instances.pop(name).stop()

    site = Site(lambda owner: MemoryProvider(engine, owner), snatch)
    try:
        yield site
    finally:
        await site.clear()
        await engines.close()


@asynccontextmanager
async def docker_site(
    transport: Transport, socket_path: str, *, docker_config: Path | None = None
) -> AsyncIterator[Site]:
    """On the engine behind `socket_path`, which has the images of `prepare_images`."""

    async def snatch(name: str) -> None:
        async with (
            engine_session(socket_path, transport) as session,
            session.delete(f"http://docker/containers/vendetta-{name}", params={"force": "1"}) as response,
        ):
            response.raise_for_status()

    def connect(owner: str) -> Provider:
        return DockerProvider(transport, owner, socket_path=socket_path, docker_config=docker_config)

    site = Site(connect, snatch)
    try:
        yield site
    finally:
        await site.clear()


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
