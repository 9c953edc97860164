"""The provider for a node with Incus or LXD: the contract of `providers.base` over their REST API."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

from vendetta.errors import ConnectFailed
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, ProviderStatus, Snapshot, Stats
from vendetta.providers import archives
from vendetta.providers.base import OnProgress
from vendetta.providers.lxc.options import LACKS, RULES
from vendetta.providers.options import Rules
from vendetta.providers.powers import InstanceEvent
from vendetta.providers.relay import build_relay, open_relay
from vendetta.transport import Output, Stream, Terminal, Transport

from . import checkup, events, execution, logs
from .addresses import Addresses
from .belongings import Belongings
from .config import check_spec
from .creation import Creation
from .dialects import DIALECTS
from .engine import Engine
from .images import Images
from .instances import parse_instance, parse_state
from .lookup import Found, Lookup
from .moving import Moves
from .pools import LIMITING, Pools
from .probe import probe
from .process import DaemonProcess
from .snapshots import Snapshots
from .states import States
from .stats import SAMPLE_SECONDS, parse_stats


class Daemon:
    """`dialect` is "incus" or "lxd"; its usual socket is used unless `socket_path` names another."""

    kind: ClassVar[str] = "lxc"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS
    needs: ClassVar[Mapping[str, str]] = {"resize": f"a storage pool that limits disks ({', '.join(LIMITING)})"}

    def __init__(self, transport: Transport, owner: str, dialect: str, socket_path: str | None = None) -> None:
        self._transport = transport
        self._owner = owner
        self._engine = Engine(transport, DIALECTS[dialect], socket_path or DIALECTS[dialect].socket_path)
        self._lookup = Lookup(self._engine, owner)
        self._addresses = Addresses(self._engine)
        self._states = States(self._engine, self._lookup)
        self._images = Images(self._engine, owner)
        self._pools = Pools(self._engine, owner)
        self._snapshots = Snapshots(self._engine, self._lookup)
        self._moves = Moves(self._engine, self._lookup, self._states, self._pools, owner)
        self._belongings = Belongings(self._engine, self._lookup, owner)

    # describe

    @property
    def title(self) -> str:
        return self._engine.dialect.title

    async def probe(self) -> ProviderStatus:
        return await probe(self._engine)

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        check_spec(spec)

    async def list(self) -> Sequence[Instance]:
        async with self._engine.doing("list workspaces"):
            listed, answers = await asyncio.gather(self._lookup.list(), self._addresses.ask_again())
            running = [found for found in listed if parse_state(found.said) == "running"]
            addresses = dict(zip(running, await self._addresses.find(running, answers), strict=True))
        return [parse_instance(found.said, addresses.get(found)) for found in listed]

    async def inspect(self, name: str) -> Instance:
        return (await self._lookup.find(name, state=True)).instance

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        self.validate(spec)
        creation = Creation(self._engine, self._lookup, self._images, self._pools, name=name, spec=spec)
        return await creation.run(on_progress)

    async def start(self, name: str) -> None:
        await self._states.start(name)

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        await self._states.stop(name, timeout_seconds)

    async def remove(self, name: str, *, force: bool = False) -> None:
        await self._states.remove(name, force=force)

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
    ) -> DaemonProcess:
        found = await self._lookup.find_running(name)
        async with self._engine.doing(f"run a program in {name}"):
            return await execution.run(self._engine, found, argv, terminal=terminal, env=env, cwd=cwd, user=user)

    async def dial(self, name: str, port: int) -> Stream:
        """Connect to the instance's address; where nothing answers there, to its own loopback by a relay in it."""
        found = await self._lookup.find_running(name, state=True)
        if (address := found.instance.address) is not None:
            try:
                return await self._transport.open_tcp(address, port)
            except ConnectFailed:
                pass
        async with self._engine.doing(f"reach port {port} of {name}"):
            process = await execution.run(self._engine, found, build_relay(port))
        return await open_relay(process, f"port {port} of {name} on node {self._engine.node}")

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncGenerator[Output, None]:
        pieces = logs.read_logs(self._engine, self._lookup, name, follow=follow, tail=tail, since=since)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def stats(self, name: str) -> Stats:
        found = await self._lookup.find_running(name)
        async with self._engine.doing(f"measure {name}"):
            began, before = time.monotonic(), await self._sample(found)
            await asyncio.sleep(SAMPLE_SECONDS)
            seconds, after = time.monotonic() - began, await self._sample(found)
        limit = found.said["expanded_config"].get("limits.memory")
        return parse_stats(before, after, seconds, limit)

    async def watch(self) -> AsyncGenerator[InstanceEvent, None]:
        async with aclosing(events.watch(self._engine, self._lookup)) as seen:
            async for event in seen:
                yield event

    async def watch_takes_session(self) -> bool:
        return False

    async def checks(self) -> Sequence[Check]:
        return await checkup.examine(self._engine)

    async def open_socket(self) -> Stream:
        return await self._engine.open_stream()

    @staticmethod
    def engine_names() -> Sequence[str]:
        return tuple(DIALECTS)

    @staticmethod
    def build_environment(path: str) -> Mapping[str, str]:
        """Return the variables of each daemon's own program."""
        return {"INCUS_SOCKET": path, "LXD_SOCKET": path}

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
        return await archives.stat_path(await self._runner(name), path)

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        await archives.put_archive(await self._runner(name), directory, archive)

    async def get_archive(self, name: str, path: str) -> AsyncGenerator[bytes, None]:
        async with aclosing(archives.get_archive(await self._runner(name), path)) as pieces:
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

    async def pause(self, name: str) -> None:
        await self._states.pause(name)

    async def resume(self, name: str) -> None:
        await self._states.resume(name)

    async def open_console(self, name: str, terminal: Terminal) -> DaemonProcess:
        found = await self._lookup.find_running(name)
        async with self._engine.doing(f"open the console of {name}"):
            return await execution.open_console(self._engine, found, terminal)

    async def resize_disk(self, name: str, size_bytes: int) -> None:
        await self._pools.resize(await self._lookup.find(name), name, size_bytes)

    async def check_movable(self, name: str) -> None:
        await self._moves.check(name)

    def export_instance(self, name: str, mark: str) -> AsyncGenerator[bytes, None]:
        return self._moves.export(name, mark)

    async def import_instance(
        self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]
    ) -> Instance:
        return await self._moves.take_in(name, spec, mark, content)

    async def forget_move(self, name: str, mark: str) -> None:
        await self._moves.forget(name, mark)

    async def list_belongings(self) -> Sequence[Belonging]:
        return await self._belongings.list()

    async def remove_belonging(self, belonging: Belonging) -> None:
        await self._belongings.remove(belonging)

    async def close(self) -> None:
        await self._engine.close()

    async def _runner(self, name: str) -> archives.Run:
        """Starts programs in the instance, as root. Raises `InstanceNotFound`, `WrongState`."""
        found = await self._lookup.find_running(name)

        async def run(argv: Sequence[str]) -> DaemonProcess:
            async with self._engine.doing(f"copy files of {name}"):
                return await execution.run(self._engine, found, argv)

        return run

    async def _sample(self, found: Found) -> Mapping[str, Any]:
        sample: Mapping[str, Any] = await self._engine.ask("GET", f"{found.path}/state", params=found.params)
        return sample
