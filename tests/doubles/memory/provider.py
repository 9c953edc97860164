"""The provider over `MemoryEngine`: the contract of `providers.base` with nothing underneath."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from vendetta.errors import (
    EngineForbidden,
    EngineUnavailable,
    ImageNotFound,
    InstanceNotFound,
    NameTaken,
    Unsupported,
    WrongState,
)
from vendetta.models import Check, Instance, InstanceSpec, Progress, ProviderStatus, Stats
from vendetta.providers.base import OnProgress
from vendetta.providers.options import Rules, boolean, parse_options
from vendetta.providers.powers import BEGUN, InstanceEvent
from vendetta.transport import Output, Terminal, Transport

from .engine import MemoryEngine
from .instance import MemoryInstance
from .pipes import PipeStream
from .process import MemoryProcess


class MemoryEngines:
    """The engines of several nodes, by name; each node has one when it is first asked for."""

    def __init__(self) -> None:
        self._engines: dict[str, MemoryEngine] = {}

    def __getitem__(self, node: str) -> MemoryEngine:
        return self._engines.setdefault(node, MemoryEngine())

    def bind(self, transport: Transport, owner: str) -> "MemoryProvider":
        """The factory for a registry."""
        return MemoryProvider(self[transport.node], owner)

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()


class MemoryProvider:
    title: ClassVar[str] = "memory"
    kind: ClassVar[str] = "memory"
    rules: ClassVar[Rules] = {"autostart": boolean("it is started again after the node was restarted")}
    lacks: ClassVar[Mapping[str, str]] = {}
    needs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, engine: MemoryEngine, owner: str) -> None:
        self._engine = engine
        self._owner = owner

    async def probe(self) -> ProviderStatus:
        return self._engine.status

    @staticmethod
    def validate(spec: InstanceSpec) -> None:
        parse_options("memory", MemoryProvider.rules, spec.options)

    async def list(self) -> Sequence[Instance]:
        self._check_engine()
        return [instance.shown for instance in self._engine.instances.values() if instance.owner == self._owner]

    async def inspect(self, name: str) -> Instance:
        return self._find(name).shown

    async def create(self, name: str, spec: InstanceSpec, on_progress: OnProgress) -> Instance:
        self.validate(spec)
        self._check_engine()
        await self._engine.on_call("create", name)
        if name not in self._engine.instances:
            self._fetch(spec.image, on_progress)
            self._engine.instances[name] = self._build(name, spec)
            self._engine.tell(self._owner, name, "create")
        instance = self._engine.instances[name]
        if instance.owner != self._owner or instance.spec != spec:
            raise NameTaken(f'can\'t create "{name}": the name stands for another instance')
        return instance.shown

    async def start(self, name: str) -> None:
        await self._engine.on_call("start", name)
        instance = self._find(name)
        if not instance.running:
            instance.start()
            self._engine.tell(self._owner, name, "start")

    async def stop(self, name: str, *, timeout_seconds: float = 10.0) -> None:
        await self._engine.on_call("stop", name)
        instance = self._find(name)
        if instance.running:
            await instance.stop()
            self._engine.tell(self._owner, name, "die")

    async def remove(self, name: str, *, force: bool = False) -> None:
        self._check_engine()
        await self._engine.on_call("remove", name)
        instance = self._engine.instances.get(name)
        if instance is None or instance.owner != self._owner:
            return
        if instance.running and not force:
            raise WrongState(f'can\'t remove "{name}": it is running', hint="Stop it first, or force it.")
        await instance.stop()
        del self._engine.instances[name]
        self._engine.tell(self._owner, name, "destroy")

    async def exec(
        self,
        name: str,
        argv: Sequence[str],
        *,
        terminal: Terminal | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> MemoryProcess:
        return self._find_running(name).spawn(argv, terminal=terminal, env=env, cwd=cwd, user=user)

    async def dial(self, name: str, port: int) -> PipeStream:
        return self._find_running(name).connect(port)

    async def logs(
        self, name: str, *, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> AsyncIterator[Output]:
        async for output in self._find(name).logs(follow=follow, tail=tail, since=since):
            yield output

    async def stats(self, name: str) -> Stats:
        spec = self._find_running(name).spec
        return Stats(
            cpu_fraction=0.0,
            cpu_seconds=0.0,
            memory_bytes=0,
            memory_limit_bytes=spec.memory_bytes,
            pids=1,
            network_received_bytes=0,
            network_sent_bytes=0,
        )

    async def watch(self) -> AsyncIterator[InstanceEvent]:
        queue: asyncio.Queue[tuple[str, InstanceEvent]] = asyncio.Queue()
        self._engine.watchers.add(queue)
        try:
            yield BEGUN
            while True:
                owner, event = await queue.get()
                if owner == self._owner:
                    yield event
        finally:
            self._engine.watchers.discard(queue)

    async def watch_takes_session(self) -> bool:
        return False

    async def checks(self) -> Sequence[Check]:
        status = self._engine.status
        if status.state == "healthy":
            return [Check(name=self.kind, state="ok", detail=status.version or "in memory")]
        absent = status.state == "undetected"
        return [Check(name=self.kind, state="skipped" if absent else "failure", detail=status.reason or status.state)]

    async def check_movable(self, name: str) -> None:
        if self._find(name).spec.mounts:
            raise Unsupported(f"{name} can't be moved: what is mounted would stay behind")

    async def export_instance(self, name: str, mark: str) -> AsyncIterator[bytes]:
        await self.check_movable(name)
        instance = self._find(name)
        if instance.running:
            raise WrongState(f'can\'t move "{name}": it is running', hint="Stop it first.")
        for start in range(0, len(instance.disk), 2):
            await self._engine.on_call("export", name)
            yield instance.disk[start : start + 2]

    async def import_instance(
        self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]
    ) -> Instance:
        self._check_engine()
        await self._engine.on_call("import", name)
        if name not in self._engine.instances:
            disk = b"".join([piece async for piece in content])
            self._engine.images.setdefault(spec.image, None)
            made = self._build(name, spec)
            made.disk, made.mark = disk, mark
            self._engine.instances[name] = made
            self._engine.tell(self._owner, name, "create")
        instance = self._engine.instances[name]
        if (instance.owner, instance.mark) != (self._owner, mark):
            raise NameTaken(f'can\'t move "{name}": the name stands for another instance')
        return instance.shown

    async def forget_move(self, name: str, mark: str) -> None:
        self._check_engine()
        await self._engine.on_call("forget", name)
        instance = self._engine.instances.get(name)
        if instance and (instance.owner, instance.mark) == (self._owner, mark):
            await self.remove(name, force=True)

    async def close(self) -> None:
        """Nothing was opened."""

    def _check_engine(self) -> None:
        status = self._engine.status
        if status.state == "undetected":
            raise EngineUnavailable(status.reason or "no engine in memory")
        if status.state == "unhealthy":
            raise EngineForbidden(status.reason or "the engine in memory is closed")

    def _find(self, name: str) -> MemoryInstance:
        self._check_engine()
        instance = self._engine.instances.get(name)
        if instance is None or instance.owner != self._owner:
            raise InstanceNotFound(f'no instance "{name}" of ours')
        return instance

    def _find_running(self, name: str) -> MemoryInstance:
        instance = self._find(name)
        if not instance.running:
            raise WrongState(f'"{name}" is {instance.shown.state}, not running', hint="Start it first.")
        return instance

    def _fetch(self, image: str, on_progress: OnProgress) -> None:
        if image in self._engine.images:
            return
        if image not in self._engine.registry:
            raise ImageNotFound(f'no image "{image}"', hint=f"There is: {', '.join(sorted(self._engine.images))}.")
        on_progress(Progress(message=f"pulling {image}", current=0, total=1))
        self._engine.images[image] = self._engine.registry[image]
        on_progress(Progress(message=f"pulling {image}", current=1, total=1))

    def _build(self, name: str, spec: InstanceSpec) -> MemoryInstance:
        number = next(self._engine.ids)
        shown = Instance(
            name=name,
            id=f"memory-{number}",
            image=spec.image,
            state="created",
            labels=dict(spec.labels),
        )
        return MemoryInstance(
            shown,
            owner=self._owner,
            spec=spec,
            command=spec.command or self._engine.images[spec.image],
            address=f"10.0.{number // 256}.{number % 256}",
            on_end=lambda: self._engine.tell(self._owner, name, "die"),
        )
