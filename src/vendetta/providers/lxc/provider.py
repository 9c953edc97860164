"""The LXC provider: finds which back end the node has, and hands everything to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

from vendetta.errors import EngineUnavailable, ProviderError
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, ProviderStatus, Snapshot, Stats
from vendetta.providers.base import OnProgress
from vendetta.providers.options import Rules
from vendetta.providers.powers import InstanceEvent
from vendetta.transport import Output, Process, Stream, Terminal, Transport

from .backend import Backend
from .choice import INSTALL, BackendName, Chooser
from .options import LACKS, RULES, check_spec


class LxcProvider:
    """`backend` is for who knows what the node has (and `socket_path` where): without it the node is asked, once."""

    kind: ClassVar[str] = "lxc"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS
    conditions: ClassVar[Mapping[str, str]] = {
        "direct": "Incus or LXD",
        "move": "Incus or LXD",
        "resize": "a storage pool that limits disks (btrfs, lvm, zfs)",
    }

    def __init__(
        self,
        transport: Transport,
        owner: str,
        *,
        backend: BackendName | None = None,
        socket_path: str | None = None,
    ) -> None:
        self._chooser = Chooser(transport, owner, backend, socket_path)
        self._choosing = asyncio.Lock()
        self._chosen: Backend | None = None

    # describe

    async def probe(self) -> ProviderStatus:
        try:
            return await (await self._backend()).probe()
        except EngineUnavailable as exc:
            return ProviderStatus(state="undetected", reason=exc.message)
        except ProviderError as exc:
            return ProviderStatus(state="unhealthy", reason=exc.message)

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        """What the node's back end can't take beside that is told by `create`."""
        check_spec(spec)

    async def list(self) -> Sequence[Instance]:
        return await (await self._backend()).list()

    async def inspect(self, name: str) -> Instance:
        return await (await self._backend()).inspect(name)

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        self.validate(spec)
        return await (await self._backend()).create(name, spec, on_progress)

    async def start(self, name: str) -> None:
        await (await self._backend()).start(name)

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        await (await self._backend()).stop(name, timeout_seconds=timeout_seconds)

    async def remove(self, name: str, *, force: bool = False) -> None:
        await (await self._backend()).remove(name, force=force)

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
    ) -> Process:
        return await (await self._backend()).exec(name, argv, terminal=terminal, env=env, cwd=cwd, user=user)

    async def dial(self, name: str, port: int) -> Stream:
        return await (await self._backend()).dial(name, port)

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        """Of its console: what its init writes there, and its kernel where it has one."""
        backend = await self._backend()
        async with aclosing(backend.logs(name, follow=follow, tail=tail, since=since)) as pieces:
            async for piece in pieces:
                yield piece

    async def stats(self, name: str) -> Stats:
        return await (await self._backend()).stats(name)

    async def watch(self) -> AsyncIterator[InstanceEvent]:
        async with aclosing((await self._backend()).watch()) as events:
            async for event in events:
                yield event

    async def watch_takes_session(self) -> bool:
        return await (await self._backend()).watch_takes_session()

    async def checks(self) -> Sequence[Check]:
        try:
            return await (await self._backend()).checks()
        except EngineUnavailable as exc:
            return [Check(name=self.kind, state="skipped", detail=exc.message, mend=INSTALL)]

    async def open_socket(self) -> Stream:
        return await (await self._backend()).open_socket()

    @staticmethod
    def engine_names() -> Sequence[str]:
        return ("incus", "lxd")

    @staticmethod
    def build_environment(path: str) -> Mapping[str, str]:
        """Each daemon's program minds its own."""
        return {"INCUS_SOCKET": path, "LXD_SOCKET": path}

    # the rarer powers

    async def list_snapshots(self, name: str) -> Sequence[Snapshot]:
        return await (await self._backend()).list_snapshots(name)

    async def create_snapshot(self, name: str, snapshot: str) -> Snapshot:
        return await (await self._backend()).create_snapshot(name, snapshot)

    async def restore_snapshot(self, name: str, snapshot: str) -> None:
        await (await self._backend()).restore_snapshot(name, snapshot)

    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        await (await self._backend()).remove_snapshot(name, snapshot)

    async def stat_path(self, name: str, path: str) -> PathStat | None:
        return await (await self._backend()).stat_path(name, path)

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        await (await self._backend()).put_archive(name, directory, archive)

    async def get_archive(self, name: str, path: str) -> AsyncIterator[bytes]:
        async with aclosing((await self._backend()).get_archive(name, path)) as pieces:
            async for piece in pieces:
                yield piece

    async def list_images(self) -> Sequence[Image]:
        return await (await self._backend()).list_images()

    async def push_image(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        return await (await self._backend()).push_image(name, file, on_progress)

    async def pull_image(self, name: str, on_progress: OnProgress) -> Image:
        return await (await self._backend()).pull_image(name, on_progress)

    async def remove_image(self, name: str) -> None:
        await (await self._backend()).remove_image(name)

    async def pause(self, name: str) -> None:
        await (await self._backend()).pause(name)

    async def resume(self, name: str) -> None:
        await (await self._backend()).resume(name)

    async def open_console(self, name: str, terminal: Terminal) -> Process:
        return await (await self._backend()).open_console(name, terminal)

    async def resize_disk(self, name: str, size_bytes: int) -> None:
        await (await self._backend()).resize_disk(name, size_bytes)

    async def check_movable(self, name: str) -> None:
        await (await self._backend()).check_movable(name)

    async def export_instance(self, name: str, mark: str) -> AsyncIterator[bytes]:
        async with aclosing((await self._backend()).export_instance(name, mark)) as pieces:
            async for piece in pieces:
                yield piece

    async def import_instance(
        self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]
    ) -> Instance:
        return await (await self._backend()).import_instance(name, spec, mark, content)

    async def forget_move(self, name: str, mark: str) -> None:
        await (await self._backend()).forget_move(name, mark)

    async def list_belongings(self) -> Sequence[Belonging]:
        return await (await self._backend()).list_belongings()

    async def remove_belonging(self, belonging: Belonging) -> None:
        await (await self._backend()).remove_belonging(belonging)

    async def close(self) -> None:
        if self._chosen is not None:
            await self._chosen.close()

    async def _backend(self) -> Backend:
        """Raises `EngineUnavailable` where the node has none: the next time it is asked again."""
        async with self._choosing:
            if self._chosen is None:
                self._chosen = await self._chooser.choose()
            return self._chosen
