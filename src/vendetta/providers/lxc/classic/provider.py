"""The provider for a node with classic LXC: the contract over scripts that are run on the node.

Each action is one script, so one session of the link; only create needs more, for an image that isn't there yet.
"""

import math
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from vendetta.errors import (
    ConnectFailed,
    EngineForbidden,
    ImageNotFound,
    NameTaken,
    ProviderError,
)
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, ProviderStatus, Snapshot, Stats
from vendetta.providers import archives
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import engine_name, spec_hash
from vendetta.providers.lxc.options import LACKS, RULES
from vendetta.providers.options import Rules
from vendetta.providers.powers import InstanceEvent
from vendetta.providers.relay import build_relay, open_relay
from vendetta.transport import Output, Process, Stream, Terminal, Transport

from . import checkup, streams
from .belongings import Belongings
from .config import build_config, build_mount, check_spec
from .host import Host
from .images import Images
from .marks import build_mark, parse_shown
from .names import parse_image
from .process import AttachedProcess, attach, attach_console
from .snapshots import Snapshots
from .stats import parse_stats

LXC_SECONDS = 60.0
"""What the node gets on top of a stop's own time."""


class Classic:
    title: ClassVar[str] = "classic LXC"
    kind: ClassVar[str] = "lxc"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, transport: Transport, owner: str) -> None:
        self._transport = transport
        self._owner = owner
        self._host = Host(transport, owner)
        self._images = Images(self._host)
        self._snapshots = Snapshots(self._host)
        self._belongings = Belongings(self._host, self._images, self._snapshots)

    # describe

    async def probe(self) -> ProviderStatus:
        try:
            found = checkup.parse_found(await self._host.ask("probe lxc", "examine"))
        except EngineForbidden as exc:
            return ProviderStatus(state="unhealthy", reason=f"{exc.message}. {exc.hint}")
        except ProviderError as exc:
            return ProviderStatus(state="unhealthy", reason=exc.message)
        if "version" not in found:
            return ProviderStatus(state="undetected", reason=f"there are no lxc-* commands on node {self._host.node}")
        bridge = checkup.check_bridge(found)
        if not checkup.has_bridge(found):
            return ProviderStatus(state="unhealthy", version=f"lxc {found['version']}", reason=bridge.detail)
        return ProviderStatus(state="healthy", version=f"lxc {found['version']}")

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        check_spec(spec)
        parse_image(spec.image)

    async def list(self) -> Sequence[Instance]:
        said = await self._host.ask("list workspaces", "list")
        return [parse_shown(line)[0] for line in said.splitlines()]

    async def inspect(self, name: str) -> Instance:
        return parse_shown(await self._host.ask(f"look at {name}", "inspect", name))[0]

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        bridge = check_spec(spec).get("network", "")
        source = parse_image(spec.image)
        arguments = [
            build_mark(name, spec, self._owner, secrets.token_hex(16)),
            source.key,
            build_config(name, spec),
            f"00:16:3e:{secrets.token_hex(1)}:{secrets.token_hex(1)}:{secrets.token_hex(1)}",
            bridge,
            *(word for mount in spec.mounts for word in (mount.source, build_mount(mount))),
        ]
        try:
            said = await self._host.ask(f"create {name}", "create", name, *arguments)
        except ImageNotFound:
            await self._images.make(source, on_progress, again=False)
            said = await self._host.ask(f"create {name}", "create", name, *arguments)
        instance, mark = parse_shown(said)
        if mark.spec != spec_hash(spec):
            raise NameTaken(
                f"can't create {name} on node {self._host.node}: there is a container {engine_name(name)} of "
                "ours, made from another spec",
                hint="Remove it, or choose another name.",
            )
        return instance

    async def start(self, name: str) -> None:
        await self._host.ask(f"start {name}", "start", name)

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        seconds = str(math.ceil(timeout_seconds))
        await self._host.ask(f"stop {name}", "stop", name, seconds, timeout_seconds=timeout_seconds + LXC_SECONDS)

    async def remove(self, name: str, *, force: bool = False) -> None:
        await self._host.ask(f"remove {name}", "remove", name, "yes" if force else "no")

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
    ) -> AttachedProcess:
        return await attach(self._host, name, argv, terminal=terminal, env=env or {}, cwd=cwd, user=user)

    async def dial(self, name: str, port: int) -> Stream:
        """Connect to the instance's address; where nothing answers there, to its own loopback by a relay in it."""
        instance = await self.inspect(name)
        if instance.state == "running" and instance.address is not None:
            try:
                return await self._transport.open_tcp(instance.address, port)
            except ConnectFailed:
                pass
        process = await self.exec(name, build_relay(port))
        return await open_relay(process, f"port {port} of {name} on node {self._host.node}")

    async def open_console(self, name: str, terminal: Terminal) -> Process:
        return await attach_console(self._host, name, terminal)

    # observe

    def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncGenerator[Output, None]:
        return streams.logs(self._host, name, follow=follow, tail=tail, since=since)

    def watch(self) -> AsyncGenerator[InstanceEvent, None]:
        return streams.watch(self._host)

    async def watch_takes_session(self) -> bool:
        return True

    async def stats(self, name: str) -> Stats:
        return parse_stats(await self._host.ask(f"measure {name}", "stats", name))

    async def checks(self) -> Sequence[Check]:
        return await checkup.examine(self._host)

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
        return await archives.stat_path(self._running(name), path)

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        await self._host.ask(f"end what was cut off in {name}", "end_unpackers", name, archives.UNPACK)
        await archives.put_archive(self._running(name), directory, archive)

    async def get_archive(self, name: str, path: str) -> AsyncGenerator[bytes, None]:
        async for piece in archives.get_archive(self._running(name), path):
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
        await self._host.ask(f"pause {name}", "pause", name)

    async def resume(self, name: str) -> None:
        await self._host.ask(f"resume {name}", "resume", name)

    async def list_belongings(self) -> Sequence[Belonging]:
        return await self._belongings.list()

    async def remove_belonging(self, belonging: Belonging) -> None:
        await self._belongings.remove(belonging)

    async def close(self) -> None:
        """Do nothing: nothing was opened."""

    def _running(self, name: str) -> archives.Run:
        """For files: a container's own tar, as root, which takes one that runs."""

        async def run(argv: Sequence[str]) -> Process:
            return await self.exec(name, argv)

        return run
