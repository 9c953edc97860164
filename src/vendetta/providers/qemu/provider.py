"""The QEMU provider: the contract of `providers.base` with nothing on the node but qemu itself and a shell."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import ClassVar

from vendetta.errors import EngineUnavailable, InstanceNotFound, Unsupported, WrongState
from vendetta.models import Instance, InstanceSpec, ProviderStatus
from vendetta.providers.base import OnProgress
from vendetta.providers.identity import check_name
from vendetta.providers.options import Rules
from vendetta.transport import Guest, Process, Stream, Terminal, Transport

from . import checkup
from .argv import QMP
from .boot import Boot
from .creation import Creation
from .guest import LOOPBACK, Guests, build_command
from .images import Images
from .options import LACKS, RULES, check_spec
from .qmp import Qmp, open_qmp
from .scripts import VMS, Found, Scripts, parse_found, parse_found_with_key

START_SECONDS = 60.0
QUIT_SECONDS = 10
"""How long qemu has to end once it was told to quit, whatever the guest does."""


class QemuProvider:
    kind: ClassVar[str] = "qemu"
    rules: ClassVar[Rules] = RULES
    lacks: ClassVar[Mapping[str, str]] = LACKS

    def __init__(self, transport: Transport, owner: str) -> None:
        self._transport = transport
        self._owner = owner
        self._scripts = Scripts(transport)
        self._images = Images(self._scripts, owner)
        self._guests = Guests(transport)

    # describe

    async def probe(self) -> ProviderStatus:
        return await checkup.probe(self._scripts)

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        check_spec(spec)

    async def list(self) -> Sequence[Instance]:
        output = await self._scripts.run("list workspaces", VMS, "list", self._owner)
        return await asyncio.gather(*(self._show(found) for found in parse_found(output)))

    async def inspect(self, name: str) -> Instance:
        return await self._show(await self._find(name))

    # lifecycle

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        creation = Creation(self._transport, self._scripts, self._images, owner=self._owner, name=name, spec=spec)
        return await creation.run(on_progress)

    async def start(self, name: str) -> None:
        """Ready: its sshd lets us in, where it is to have one."""
        check_name(name)
        if (held := self._guests.held(name)) and await self._status(held[0]) != "paused":
            return
        output = await self._scripts.run(
            f"start {name}", VMS, "start", self._owner, name, timeout_seconds=START_SECONDS
        )
        found, key = parse_found_with_key(output)
        if found.record.user is not None:
            guest = await Boot(self._transport, self._scripts, self._guests, found, key).wait()
            self._guests.keep(name, found, guest)

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        """By the power button; by QMP's quit after the time; by signals if even qemu doesn't listen."""
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
        """As root, unless `user` is said; an empty `argv` is a login shell."""
        found, guest = await self._enter(name)
        login = found.record.user or "root"
        command = build_command(argv, login=login, env={**found.record.env, **(env or {})}, cwd=cwd, user=user)
        return await guest.open_process(command, terminal=terminal)

    async def dial(self, name: str, port: int) -> Stream:
        """From inside, so that it may be a port of its loopback."""
        _, guest = await self._enter(name)
        return await guest.open_tcp(LOOPBACK, port)

    async def close(self) -> None:
        await self._guests.close()

    # what all of these share

    async def _find(self, name: str) -> Found:
        check_name(name)
        found = parse_found(await self._scripts.run(f"look at {name}", VMS, "list", self._owner, name))
        if not found:
            raise InstanceNotFound(f"there is no {name} of ours on node {self._scripts.node}")
        return found[0]

    async def _show(self, found: Found) -> Instance:
        return found.show(await self._status(found)) if found.alive else found.show()

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
                raise WrongState(f"{name} on node {self._scripts.node} is not running", hint="Start it first.")
            if found.record.user is None:
                raise Unsupported(f"{name} was made with options.ssh=false: there is no way into it")
            return found, key

        return await self._guests.enter(name, find)

    def _qmp(self, found: Found, what: str) -> AbstractAsyncContextManager[Qmp]:
        return open_qmp(self._transport, f"{found.folder}/{QMP}", what)
