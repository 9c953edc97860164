"""The Docker provider: the contract of `providers.base` over the Engine API."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
from aiohttp import ClientTimeout

from vendetta.errors import ConnectFailed, EngineUnavailable, WrongState
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, ProviderStatus, Snapshot, Stats
from vendetta.providers.base import OnProgress
from vendetta.providers.options import Rules
from vendetta.providers.powers import BEGUN, InstanceEvent
from vendetta.providers.relay import build_relay, open_relay
from vendetta.transport import Output, Stream, Terminal, Transport

from . import checkup, events, files, volumes
from .belongings import Belongings
from .builds import build_image
from .config import LACKS, check_spec
from .containers import Container, Containers
from .creation import Creation, Shells
from .credentials import Credentials
from .engine import Engine
from .frames import pieces_of
from .images import Images
from .instances import parse_container
from .keeper import SHELL
from .moving import Moves, check_movable
from .options import RULES
from .probe import probe
from .process import DockerProcess
from .snapshots import Snapshots
from .stats import SAMPLE_SECONDS, parse_stats

LOGIN_SHELL = (SHELL, "-c", 'exec "$(command -v bash || echo sh)" -l')

# Control characters that nobody types in a row: Docker's own way to detach would swallow Ctrl-P.
DETACH_KEYS = "ctrl-^,ctrl-_,ctrl-^,ctrl-_,ctrl-^"

ENGINE_SECONDS = 60.0
"""What the engine gets on top of a stop's own time."""


class DockerProvider:
    """Speaks to Docker, or to Podman where there is no Docker; to whatever listens on `socket_path`, where it is given.

    `docker_config` is docker's config.json with the registries' logins, on this side; None: anonymous pulls.
    """

    title: ClassVar[str] = "docker"
    kind: ClassVar[str] = "docker"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        transport: Transport,
        owner: str,
        *,
        socket_path: str | None = None,
        docker_config: Path | None = None,
    ) -> None:
        self._transport = transport
        self._owner = owner
        self._engine = Engine(transport, socket_path)
        self._containers = Containers(self._engine, owner)
        self._images = Images(self._engine, Credentials(docker_config))
        self._snapshots = Snapshots(self._engine, self._containers, owner)
        self._moves = Moves(self._engine, self._containers, self._snapshots)
        self._belongings = Belongings(self._engine, self._containers, self._snapshots, owner)
        self._shells: Shells = set()

    # describe

    async def probe(self) -> ProviderStatus:
        return await probe(self._engine)

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        check_spec(spec)

    async def list(self) -> Sequence[Instance]:
        return await self._containers.list()

    async def inspect(self, name: str) -> Instance:
        return parse_container(await self._containers.find(name))

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        self.validate(spec)
        return await self._creation(name, spec).run(on_progress)

    async def start(self, name: str) -> None:
        container = await self._containers.find(name)
        async with self._engine.doing(f"start {name}"):
            verb = "unpause" if container["State"]["Status"] == "paused" else "start"
            await self._engine.ask("POST", f"containers/{container['Id']}/{verb}")

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        container = await self._containers.find(name)
        async with self._engine.doing(f"stop {name}"):
            path = f"containers/{container['Id']}"
            if container["State"]["Status"] == "paused":
                await self._engine.ask("POST", f"{path}/unpause")  # or it could not do what it is asked to
            limit = ClientTimeout(total=timeout_seconds + ENGINE_SECONDS)
            await self._engine.ask("POST", f"{path}/stop", params={"t": str(math.ceil(timeout_seconds))}, timeout=limit)

    async def remove(self, name: str, *, force: bool = False) -> None:
        container = await self._containers.lookup(name)
        if container is not None and not self._containers.owns(container, name):
            return
        if container is not None:
            await self._delete(name, container, force=force)
        await asyncio.gather(self._snapshots.remove_all(name), volumes.remove_volumes(self._engine, self._owner, name))

    # act

    async def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        terminal: Terminal | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> DockerProcess:
        """Start a program; an empty `argv` is a login shell."""
        container = await self._containers.find_running(name)
        surroundings = {**({"TERM": terminal.type} if terminal else {}), **(env or {})}
        return await self._run(
            name, container, argv or LOGIN_SHELL, terminal, env=surroundings, cwd=cwd or "", user=user or ""
        )

    async def dial(self, name: str, port: int) -> Stream:
        """Connect to the instance's address; where nothing answers there, to its own loopback by a relay in it."""
        container = await self._containers.find_running(name)
        address = parse_container(container).address
        if address is not None:
            try:
                return await self._transport.open_tcp(address, port)
            except ConnectFailed:
                pass
        process = await self._run(name, container, build_relay(port))
        return await open_relay(process, f"port {port} of {name} on node {self._engine.node}")

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        container = await self._containers.find(name)
        params = {
            "stdout": "1",
            "stderr": "1",
            "follow": str(int(follow)),
            "tail": "all" if tail is None else str(tail),
        }
        if since is not None:
            params["since"] = f"{since:.9f}"
        path = f"containers/{container['Id']}/logs"
        async with (
            self._engine.doing(f"read the logs of {name}"),
            self._engine.stream("GET", path, params=params) as response,
        ):
            pieces = pieces_of(response.content, terminal=container["Config"]["Tty"])
            while (piece := await pieces.read()) is not None:
                yield piece

    async def stats(self, name: str) -> Stats:
        container = await self._containers.find_running(name)
        before = await self._sample(name, container)
        await asyncio.sleep(SAMPLE_SECONDS)
        after = await self._sample(name, container)
        return parse_stats(before, after, container["HostConfig"]["Memory"] or None)

    async def watch(self) -> AsyncIterator[InstanceEvent]:
        async with (
            self._engine.doing("watch workspaces"),
            self._engine.stream("GET", "events", params=events.build_params(self._owner)) as response,
        ):
            yield BEGUN
            async for line in response.content:
                if (event := events.parse_event(line, self._owner)) is not None:
                    yield event
            raise EngineUnavailable(f"the engine on node {self._engine.node} ended its stream of events")

    async def watch_takes_session(self) -> bool:
        return False

    async def checks(self) -> Sequence[Check]:
        return await checkup.examine(self._engine, self._transport)

    async def open_socket(self) -> Stream:
        async with self._engine.doing("open its socket"):
            return await self._transport.open_unix(self._engine.socket_path)

    @staticmethod
    def engine_names() -> Sequence[str]:
        return ("docker", "podman")

    @staticmethod
    def build_environment(path: str) -> Mapping[str, str]:
        return {"DOCKER_HOST": f"unix://{path}"}

    # the rarer powers

    async def list_snapshots(self, name: str) -> Sequence[Snapshot]:
        return await self._snapshots.list(name)

    async def create_snapshot(self, name: str, snapshot: str) -> Snapshot:
        return await self._snapshots.create(name, snapshot)

    async def restore_snapshot(self, name: str, snapshot: str) -> None:
        await self._snapshots.restore(name, snapshot)

    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        await self._snapshots.remove(name, snapshot)

    async def stat_path(self, name: str, path: str) -> PathStat | None:
        container = await self._containers.find(name)
        async with self._engine.doing(f"look at {path} in {name}"):
            return await files.stat_path(self._engine, container, path)

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        container = await self._containers.find(name)
        async with self._engine.doing(f"write to {directory} in {name}"):
            await files.put_archive(self._engine, container, directory, archive)

    async def get_archive(self, name: str, path: str) -> AsyncIterator[bytes]:
        container = await self._containers.find(name)
        async with (
            self._engine.doing(f"read {path} in {name}"),
            aclosing(files.get_archive(self._engine, container, path)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def list_images(self) -> Sequence[Image]:
        return await self._images.list()

    async def push_image(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        return await self._images.push(name, file, on_progress)

    async def pull_image(self, name: str, on_progress: OnProgress) -> Image:
        return await self._images.pull(name, on_progress)

    async def remove_image(self, name: str) -> None:
        await self._images.remove(name)

    def build_image(
        self,
        name: str,
        context: Path,
        *,
        file: str = "Dockerfile",
        arguments: Mapping[str, str] | None = None,
        platform: str | None = None,
    ) -> AsyncIterator[str]:
        return build_image(self._engine, name, context, file=file, arguments=arguments, platform=platform)

    async def pause(self, name: str) -> None:
        container = await self._containers.find(name)
        if container["State"]["Status"] != "paused":
            container = await self._containers.find_running(name)
            async with self._engine.doing(f"pause {name}"):
                await self._engine.ask("POST", f"containers/{container['Id']}/pause")

    async def resume(self, name: str) -> None:
        container = await self._containers.find(name)
        if container["State"]["Status"] == "paused":
            async with self._engine.doing(f"resume {name}"):
                await self._engine.ask("POST", f"containers/{container['Id']}/unpause")
        else:
            await self._containers.find_running(name)

    async def check_movable(self, name: str) -> None:
        check_movable(name, self._engine.node, await self._containers.find(name))

    def export_instance(self, name: str, mark: str) -> AsyncIterator[bytes]:
        return self._moves.export(name, mark)

    async def import_instance(
        self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]
    ) -> Instance:
        return await self._moves.take_in(self._creation(name, spec), mark, content)

    async def forget_move(self, name: str, mark: str) -> None:
        await self._moves.forget(name, mark)

    async def list_belongings(self) -> Sequence[Belonging]:
        return await self._belongings.list()

    async def remove_belonging(self, belonging: Belonging) -> None:
        await self._belongings.remove(belonging)

    async def close(self) -> None:
        await self._engine.close()

    def _creation(self, name: str, spec: InstanceSpec) -> Creation:
        return Creation(self._engine, self._containers, self._images, self._shells, name=name, spec=spec)

    async def _delete(self, name: str, container: Container, *, force: bool) -> None:
        if container["State"]["Running"] and not force:
            raise WrongState(
                f"can't remove {name} on node {self._engine.node}: it is running", hint="Stop it first, or force it."
            )
        await self._containers.delete(container["Id"], f"remove {name}", force=force)

    async def _run(
        self,
        name: str,
        container: Container,
        argv: Sequence[str],
        terminal: Terminal | None = None,
        *,
        env: Mapping[str, str] = MappingProxyType({}),
        cwd: str = "",
        user: str = "",
    ) -> DockerProcess:
        body = {
            "Cmd": list(argv),
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": terminal is not None,
            "DetachKeys": DETACH_KEYS,
            "Env": [f"{key}={value}" for key, value in env.items()],
            "WorkingDir": cwd,
            "User": user,
        }
        async with self._engine.doing(f"run a program in {name}"):
            prepared = await self._engine.ask("POST", f"containers/{container['Id']}/exec", json=body)
            return await DockerProcess.start(self._engine, prepared["Id"], terminal)

    async def _sample(self, name: str, container: Container) -> dict[str, Any]:
        path = f"containers/{container['Id']}/stats"
        async with (
            self._engine.doing(f"measure {name}"),
            self._engine.stream("GET", path, params={"stream": "false", "one-shot": "true"}) as response,
        ):
            return msgspec.json.decode(await response.read(), type=dict[str, Any])
