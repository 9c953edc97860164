"""Machines in memory, with everything that may happen to them, under the whole server but for HTTP and SSH itself."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from tests.doubles.memory import MemoryEngine, MemoryProvider

from vendetta.api import composition
from vendetta.api.services import Services
from vendetta.coordination.monitoring.observation import STATES
from vendetta.errors import ConnectFailed, ConnectionLost, EngineUnavailable, VendettaError
from vendetta.models import HostKey, Instance, ProviderStatus
from vendetta.paths import Paths
from vendetta.providers.powers import BEGUN, InstanceEvent
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology
from vendetta.settings import ServerConfig
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.transport import CommandResult

HEALTHY = ProviderStatus(state="healthy", version="memory 1")
STOPPED = ProviderStatus(state="undetected", reason="nobody answers")
NO_LOGIN = Login()
_ENDED = "ended"
FACTS = "kernel Linux 6.1\narch x86_64\ncpus 4\nmemory_kib 8388608\ndisk_free_kib 104857600\nos Debian\nboot_id {}\n"


class Engine(MemoryEngine):
    """`note` hears the name of every workspace that changes, before anybody is told."""

    note: Callable[[str], None]

    def tell(self, owner: str, name: str, action: str) -> None:
        self.note(name)
        super().tell(owner, name, action)


class Machine:
    """`seen` are the states that each workspace has truly been in since it was cleared.

    `untold_boot` are those that stood still when the machine was started again, until it can be asked.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.engine = Engine(images={"busybox": None})
        self.engine.note = self.note
        self.linked = True
        self.boot = 1
        self.lag = 0
        self.seen: defaultdict[str, set[str]] = defaultdict(set)
        self.untold_boot: set[str] = set()
        self.disturbed = False
        self.links: set[MemoryLink] = set()

    @property
    def answers(self) -> bool:
        return self.linked and self.engine.status.state == "healthy"

    def truth(self, name: str) -> str:
        instance = self.engine.instances.get(name)
        return STATES[instance.shown.state] if instance else "missing"

    def note(self, name: str) -> None:
        self.seen[name].add(self.truth(name))

    def clear(self) -> None:
        names = {*self.seen, *self.engine.instances}
        self.seen.clear()
        for name in names:  # what can't be asked just now is told later
            self.note(name)
        self.disturbed = not self.answers
        if self.answers:
            self.untold_boot.clear()
        for name in self.untold_boot:
            self.seen[name].add("stopped")

    def cut(self) -> None:
        self.linked, self.disturbed = False, True
        for link in list(self.links):
            link.end(ConnectionLost(f"keep the connection of node {self.name}: it was lost"))

    def mend(self) -> None:
        self.linked = True

    def stop_engine(self) -> None:
        self.engine.status, self.disturbed = STOPPED, True
        self.end_events()

    def end_events(self) -> None:
        for queue in self.engine.watchers:
            queue.put_nowait((_ENDED, BEGUN))

    def start_engine(self) -> None:
        self.engine.status = HEALTHY

    async def reboot(self) -> None:
        """Everything ends, and nobody tells of it."""
        self.cut()
        self.stop_engine()
        for name, instance in self.engine.instances.items():
            if instance.running:
                await instance.stop(255)
                self.note(name)
            # what ended a moment before nobody can tell from what ended by it
            self.seen[name].add("stopped")
            self.untold_boot.add(name)
        self.boot += 1
        self.start_engine()
        self.mend()

    # by hand

    async def remove(self, name: str) -> None:
        if instance := self.engine.instances.pop(name, None):
            await instance.stop()
            self.engine.tell(instance.owner, name, "destroy")

    async def kill(self, name: str, status: int = 3) -> None:
        instance = self.engine.instances.get(name)
        if instance and instance.running:
            await instance.stop(status)
            instance.shown = replace(instance.shown, state="failed", reason=f"ended with status {status}")
            self.engine.tell(instance.owner, name, "die")

    def start(self, name: str) -> None:
        instance = self.engine.instances.get(name)
        if instance and not instance.running:
            instance.start()
            self.engine.tell(instance.owner, name, "start")

    async def pass_time(self) -> None:
        """As answers of a node that is far away take theirs."""
        for _ in range(self.lag):
            await asyncio.sleep(0)


class MemoryLink:
    """Stands in for `ssh.connection.Connection`."""

    spares_sessions = False

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.node = machine.name
        self.host_key = HostKey(type="ssh-ed25519", fingerprint="SHA256:abc")
        self.error: VendettaError | None = None
        self.unanswered = 0
        self.silent_seconds = 0.0
        self._ended = asyncio.Event()
        machine.links.add(self)

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    def end(self, error: VendettaError | None) -> None:
        if not self.closed:
            self.error = error
            self.machine.links.discard(self)
            self._ended.set()

    def check(self) -> None:
        if self.closed:
            raise self.error or ConnectionLost(f"use the connection of node {self.node}: it was closed")

    async def wait_closed(self) -> None:
        await self._ended.wait()

    async def close(self) -> None:
        self.end(None)

    async def ping(self, timeout_seconds: float = 15.0) -> float:
        await self.machine.pass_time()
        self.check()
        return 0.001

    async def run(self, argv: Sequence[str], **how: Any) -> CommandResult:
        await self.machine.pass_time()
        self.check()
        return CommandResult(0, FACTS.format(f"boot-{self.machine.boot}").encode(), b"")


class LinkedProvider(MemoryProvider):
    """Only reaches its engine while the link stands, and hears no more of it once either has ended."""

    def __init__(self, link: MemoryLink, owner: str) -> None:
        super().__init__(link.machine.engine, owner)
        self._link = link

    async def probe(self) -> ProviderStatus:
        await self._link.machine.pass_time()
        self._link.check()
        return await super().probe()

    async def list(self) -> Sequence[Instance]:
        await self._link.machine.pass_time()
        listed = await super().list()
        await self._link.machine.pass_time()
        self._link.check()
        return listed

    async def inspect(self, name: str) -> Instance:
        await self._link.machine.pass_time()
        try:
            return await super().inspect(name)
        finally:
            await self._link.machine.pass_time()
            self._link.check()

    async def watch(self) -> AsyncIterator[InstanceEvent]:
        self._check_engine()
        queue: asyncio.Queue[tuple[str, InstanceEvent]] = asyncio.Queue()
        self._engine.watchers.add(queue)
        try:
            yield BEGUN
            while True:
                owner, event = await queue.get()
                if owner == _ENDED:
                    raise EngineUnavailable("the engine in memory was stopped")
                if owner == self._owner:
                    yield event
        finally:
            self._engine.watchers.discard(queue)

    def _check_engine(self) -> None:
        self._link.check()
        super()._check_engine()


class MemoryConnector(Connector):
    """Reaches these machines, and no other."""

    def __init__(self, machines: Mapping[str, Machine], host_keys: HostKeys, keys: Keys) -> None:
        super().__init__(host_keys, keys)
        self._machines = machines

    async def open(self, endpoint: Endpoint, login: Login = NO_LOGIN) -> Any:
        machine = self._machines[endpoint.node]
        await machine.pass_time()
        if not machine.linked:
            raise ConnectFailed(f"connect to node {endpoint.node}: nobody answers", node=endpoint.node)
        return MemoryLink(machine)


@asynccontextmanager
async def serving(folder: Path, machines: Mapping[str, Machine], **settings: Any) -> AsyncIterator[Services]:
    """The server, over these machines. Again on the same folder: the next process."""

    def build_ssh(*_: object) -> composition.SshParts:
        host_keys, keys = HostKeys(folder / "pins"), Keys(folder / "keys", folder / "ssh")
        return composition.SshParts(host_keys, keys, MemoryConnector(machines, host_keys, keys))

    registry = Registry(Technology.of(LinkedProvider, LinkedProvider))  # type: ignore[arg-type]
    paths = Paths(config_dir=folder, state_dir=folder, runtime_dir=folder)
    config = ServerConfig(state_file=str(folder / "state.db"), **settings)
    with (
        mock.patch.object(composition, "build_ssh", build_ssh),
        mock.patch.object(composition, "build_registry", return_value=registry),
    ):
        async with composition.running_services(paths, config) as services:
            yield services
