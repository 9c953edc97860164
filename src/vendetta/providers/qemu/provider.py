"""The QEMU provider: the contract of `providers.base` with nothing on the node but qemu itself and a shell."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from vendetta.errors import EngineUnavailable, InstanceNotFound, Unsupported, VendettaError, WrongState
from vendetta.models import Belonging, Check, Image, Instance, InstanceSpec, PathStat, ProviderStatus, Snapshot, Stats
from vendetta.providers import archives
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import check_name
from vendetta.providers.options import Rules
from vendetta.providers.powers import InstanceEvent
from vendetta.transport import Guest, Output, Process, Stream, Terminal, Transport

from . import checkup
from .argv import CONSOLE, QMP
from .belongings import Belongings
from .boot import Boot
from .console import ConsoleProcess
from .creation import Creation
from .disks import resize_disk
from .events import watch
from .forwards import open_forward
from .guest import LOOPBACK, Guests, run_in
from .images import Images
from .logs import read_logs
from .options import LACKS, RULES, check_spec
from .qmp import Qmp, open_qmp
from .scripts import VMS, Found, Scripts, parse_found, parse_found_with_key, parse_found_with_rest
from .snapshots import Snapshots
from .stats import parse_network, parse_stats

T = TypeVar("T")
START_SECONDS = 60.0
NETWORK_SECONDS = 5.0
SILENT_SECONDS, OPEN_SECONDS = 2.0, 60.0
"""After which a guest that was spoken to is looked at, and is given up."""
QUIT_SECONDS = 10
"""How long qemu has to end once it was told to quit, whatever the guest does."""


class QemuProvider:
    title: ClassVar[str] = "qemu"
    kind: ClassVar[str] = "qemu"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, transport: Transport, owner: str) -> None:
        self._transport = transport
        self._owner = owner
        self._ran: Sequence[Found] = ()
        self._scripts = Scripts(transport)
        self._images = Images(self._scripts, owner)
        self._guests = Guests(transport)
        self._snapshots = Snapshots(transport, self._scripts, owner)
        self._belongings = Belongings(self._scripts, self._images, owner)

    # describe

    async def probe(self) -> ProviderStatus:
        return await checkup.probe(self._scripts)

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        check_spec(spec)

    async def list(self) -> Sequence[Instance]:
        known = self._ran
        # how each is that ran when they were listed last is asked at the same time
        output, statuses = await asyncio.gather(
            self._scripts.run("list workspaces", VMS, "list", self._owner),
            asyncio.gather(*(self._status(found) for found in known)),
        )
        # what another process said, before it was started again, says nothing of this one
        said = {(found.folder, found.pid): status for found, status in zip(known, statuses, strict=True)}
        listed = parse_found(output)
        self._ran = [found for found in listed if found.alive]
        return await asyncio.gather(*(self._show(found, said.get((found.folder, found.pid))) for found in listed))

    async def inspect(self, name: str) -> Instance:
        return await self._show(await self._find(name))

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        creation = Creation(self._transport, self._scripts, self._images, owner=self._owner, name=name, spec=spec)
        return await creation.run(on_progress)

    async def start(self, name: str) -> None:
        """Start it, and wait until its sshd lets us in, where it is to have one."""
        check_name(name)
        output = await self._scripts.run(
            f"start {name}", VMS, "start", self._owner, name, timeout_seconds=START_SECONDS
        )
        found, key = parse_found_with_key(output)
        async with self._qmp(found, f"start {name}") as qmp:
            if (await qmp.execute("query-status"))["status"] in {"paused", "suspended"}:
                await qmp.execute("cont")
        if found.record.user is not None and not self._guests.held(name):
            guest = await Boot(self._transport, self._scripts, self._guests, found, key).wait()
            self._guests.keep(name, found, guest)

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        """Press the power button; after the time quit by QMP, and by signals if qemu doesn't answer."""
        found = await self._find(name)
        if not found.alive:
            return
        await self._guests.leave(name)
        for command, seconds in (("system_powerdown", math.ceil(timeout_seconds)), ("quit", QUIT_SECONDS)):
            if not seconds:
                continue
            with suppress(EngineUnavailable):  # it has ended, or doesn't listen: the wait tells
                async with self._qmp(found, f"stop {name}") as qmp:
                    if command == "system_powerdown" and (await qmp.execute("query-status"))["status"] == "paused":
                        await qmp.execute("cont")
                    await qmp.execute(command)
            if await self._has_ended(name, seconds):
                return
        await self._scripts.run(f"stop {name}", VMS, "kill", self._owner, name)

    async def remove(self, name: str, *, force: bool = False) -> None:
        check_name(name)
        await self._scripts.run(f"remove {name}", VMS, "remove", self._owner, name, "yes" if force else "no")
        await self._guests.leave(name)

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
        """Start a program as root, unless `user` is said; an empty `argv` is a login shell."""
        found, guest = await self._enter(name)
        opening = run_in(
            guest,
            argv,
            login=found.record.user or "root",
            terminal=terminal,
            env={**found.record.env, **(env or {})},
            cwd=cwd,
            user=user,
        )
        return await self._answered(found, opening)

    async def dial(self, name: str, port: int) -> Stream:
        """Connect from inside, so that it may be a port of its loopback; through qemu where nobody logs in."""
        if not self._guests.held(name):
            found = await self._find(name)
            if found.alive and found.record.user is None:
                return await open_forward(self._transport, found, port)
        found, guest = await self._enter(name)
        return await self._answered(found, guest.open_tcp(LOOPBACK, port))

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        """Read its serial console, whose lines have no times: `since` is compared with that of the last one alone."""
        check_name(name)
        pieces = read_logs(self._scripts, self._owner, name, follow=follow, tail=tail, since=since)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def stats(self, name: str) -> Stats:
        """Measure its process on the node; what passed its network as the guest counts it, where it lets us in."""
        check_name(name)
        found, said = parse_found_with_rest(await self._scripts.run(f"measure {name}", VMS, "stats", self._owner, name))
        if not found.alive:
            raise self._not_running(name)
        return parse_stats(said, found.record.memory_bytes, await self._network(name))

    async def watch(self) -> AsyncIterator[InstanceEvent]:
        async with aclosing(watch(self._transport, self._scripts, self._owner)) as events:
            async for event in events:
                yield event

    async def watch_takes_session(self) -> bool:
        return True

    async def checks(self) -> Sequence[Check]:
        return await checkup.examine(self._scripts)

    # the rarer powers

    async def list_snapshots(self, name: str) -> Sequence[Snapshot]:
        check_name(name)
        return await self._snapshots.list(name)

    async def create_snapshot(self, name: str, snapshot: str) -> Snapshot:
        check_name(name)
        return await self._snapshots.create(name, snapshot)

    async def restore_snapshot(self, name: str, snapshot: str) -> None:
        check_name(name)
        await self._snapshots.restore(name, snapshot)

    async def remove_snapshot(self, name: str, snapshot: str) -> None:
        check_name(name)
        await self._snapshots.remove(name, snapshot)

    async def stat_path(self, name: str, path: str) -> PathStat | None:
        return await archives.stat_path(self._runner(name), path)

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        await archives.put_archive(self._runner(name), directory, archive)

    def get_archive(self, name: str, path: str) -> AsyncIterator[bytes]:
        return archives.get_archive(self._runner(name), path)

    async def list_images(self) -> Sequence[Image]:
        return await self._images.list()

    async def push_image(self, name: str, file: Path, on_progress: OnProgress) -> Image:
        """Send a disk image, qcow2 or raw; or a kernel, or an initial RAM disk."""
        return await self._images.push(name, file, on_progress)

    async def pull_image(self, name: str, on_progress: OnProgress) -> Image:
        return await self._images.pull(name, on_progress, again=True)

    async def remove_image(self, name: str) -> None:
        await self._images.remove(name)

    async def pause(self, name: str) -> None:
        async with self._running(name, f"pause {name}") as qmp:
            await qmp.execute("stop")

    async def resume(self, name: str) -> None:
        async with self._running(name, f"resume {name}") as qmp:
            await qmp.execute("cont")

    async def open_console(self, name: str, terminal: Terminal) -> Process:
        """Open its serial line, at which one may sit at a time; a second waits until the first has gone."""
        found = await self._find(name)
        if not found.alive:
            raise self._not_running(name)
        return ConsoleProcess(await self._transport.open_unix(f"{found.folder}/{CONSOLE}"))

    async def resize_disk(self, name: str, size_bytes: int) -> None:
        check_name(name)
        await resize_disk(self._transport, self._scripts, self._owner, name, size_bytes)

    async def list_belongings(self) -> Sequence[Belonging]:
        return await self._belongings.list()

    async def remove_belonging(self, belonging: Belonging) -> None:
        await self._belongings.remove(belonging)

    async def close(self) -> None:
        await self._guests.close()

    # what all of these share

    async def _find(self, name: str) -> Found:
        check_name(name)
        found = parse_found(await self._scripts.run(f"look at {name}", VMS, "list", self._owner, name))
        if not found:
            raise InstanceNotFound(f"there is no {name} of ours on node {self._scripts.node}")
        return found[0]

    async def _show(self, found: Found, status: str | None = None) -> Instance:
        """`status` where it was asked already."""
        return found.show(status or await self._status(found)) if found.alive else found.show()

    async def _status(self, found: Found) -> str | None:
        """QMP's; None where it has ended meanwhile."""
        with suppress(EngineUnavailable):
            async with self._qmp(found, f"look at {found.record.name}") as qmp:
                return str((await qmp.execute("query-status"))["status"])
        return None

    async def _has_ended(self, name: str, seconds: int) -> bool:
        said = await self._scripts.run(
            f"stop {name}", VMS, "finish", self._owner, name, str(seconds), timeout_seconds=seconds + START_SECONDS
        )
        return said.strip() == b"ended"

    async def _enter(self, name: str) -> tuple[Found, Guest]:
        check_name(name)

        async def find() -> tuple[Found, str]:
            output = await self._scripts.run(f"enter {name}", VMS, "key", self._owner, name)
            found, key = parse_found_with_key(output)
            if not found.alive:
                raise self._not_running(name)
            if found.record.user is None:
                raise Unsupported(f"{name} was made with options.ssh=false: there is no way into it")
            return found, key

        return await self._guests.enter(name, find)

    async def _answered(self, found: Found, opening: Coroutine[Any, Any, T]) -> T:
        """A guest that is paused doesn't answer, and doesn't refuse either. Raises `WrongState`."""
        task = asyncio.create_task(opening)
        name, state = found.record.name, "is not answering"
        try:
            await asyncio.wait([task], timeout=SILENT_SECONDS)
            if task.done() or await self._status(found) != "paused":
                return await asyncio.wait_for(task, OPEN_SECONDS)
            state = "is paused"
        except TimeoutError:
            pass
        finally:
            task.cancel()
        raise WrongState(f"{name} on node {self._scripts.node} {state}", hint="Its console may tell why.")

    def _qmp(self, found: Found, what: str) -> AbstractAsyncContextManager[Qmp]:
        return open_qmp(self._transport, f"{found.folder}/{QMP}", what)

    @asynccontextmanager
    async def _running(self, name: str, what: str) -> AsyncIterator[Qmp]:
        """The way to a VM that runs, or is paused. Raises `InstanceNotFound`, `WrongState`."""
        found = await self._find(name)
        if not found.alive:
            raise self._not_running(name)
        async with self._qmp(found, what) as qmp:
            yield qmp

    def _not_running(self, name: str) -> WrongState:
        return WrongState(f"{name} on node {self._scripts.node} is not running", hint="Start it first.")

    def _runner(self, name: str) -> archives.Run:
        async def run(argv: Sequence[str]) -> Process:
            return await self.exec(name, argv)

        return run

    async def _network(self, name: str) -> tuple[int, int]:
        """Return what passed its network; nothing where the guest can't be asked just now."""
        held = self._guests.held(name)
        if held is None:
            return 0, 0
        with suppress(VendettaError):
            return parse_network((await held[1].run(["cat", "/proc/net/dev"], timeout_seconds=NETWORK_SECONDS)).stdout)
        return 0, 0
