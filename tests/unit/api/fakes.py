"""The services in memory, for tests of what stands in front of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.doubles.memory import MemoryEngines, MemoryProvider
from tests.unit.client.samples import (
    BELONGING,
    DRAINED,
    EVENT,
    IMAGE,
    KEY,
    NODE,
    OPERATION,
    PATH_STAT,
    REPORT,
    SERVER,
    SNAPSHOT,
    SOCKET,
    TOKEN,
    WORKSPACE,
)

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.changes import CHANGES
from vendetta.coordination.commands.descriptions import Descriptions
from vendetta.coordination.figures import Figures
from vendetta.coordination.requests import BulkRequest, ExecRequest, ImageRequest, RunRequest
from vendetta.errors import (
    NodeNotFound,
    OperationNotFound,
    PathNotFound,
    TokenNotFound,
    Unauthorized,
    UnknownAction,
    VendettaError,
    WorkspaceNotFound,
)
from vendetta.models import (
    Belonging,
    BuildNews,
    BulkResult,
    DoctorReport,
    DrainResult,
    EngineSocket,
    Event,
    ExecutionResult,
    Image,
    Key,
    Node,
    NodeRun,
    Operation,
    PathStat,
    Problem,
    Snapshot,
    Stats,
    Token,
    TokenCreated,
    Workspace,
)
from vendetta.providers.docker import DockerProvider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology
from vendetta.store import Page
from vendetta.transport import Output, Terminal

STATS = Stats(
    cpu_fraction=0.5,
    cpu_seconds=1.0,
    memory_bytes=1,
    memory_limit_bytes=None,
    pids=1,
    network_received_bytes=0,
    network_sent_bytes=0,
)
ROLES = ("admin", "user", "viewer")


class FakeProcess:
    """Runs `script`, which reads `input` and writes by `write_output`; its result is the exit status."""

    def __init__(self, script: "Callable[[FakeProcess], Awaitable[int]]") -> None:
        self.input: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self.output: asyncio.Queue[Output | None] = asyncio.Queue(1)
        self.told: list[Any] = []
        self.closed = asyncio.Event()
        self._script = asyncio.create_task(self._run(script))

    async def _run(self, script: "Callable[[FakeProcess], Awaitable[int]]") -> int:
        status = await script(self)
        await self.output.put(None)
        return status

    async def read(self) -> Output | None:
        return await self.output.get()

    async def write(self, data: bytes) -> None:
        await self.input.put(data)

    async def write_eof(self) -> None:
        await self.input.put(None)

    async def resize(self, columns: int, rows: int) -> None:
        self.told.append((columns, rows))

    async def signal(self, name: str) -> None:
        self.told.append(name)

    async def wait(self) -> int:
        return await self._script

    async def close(self) -> None:
        self._script.cancel()
        await asyncio.gather(self._script, return_exceptions=True)
        self.closed.set()


class FakeStream:
    """What is written comes back by `read`, which a test may feed too."""

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[bytes] = asyncio.Queue(1)
        self.written: asyncio.Queue[bytes] = asyncio.Queue(1)
        self.closed = asyncio.Event()

    async def read(self, limit: int = 65536) -> bytes:
        return await self.arriving.get()

    async def write(self, data: bytes) -> None:
        await self.written.put(data)

    async def write_eof(self) -> None:
        await self.written.put(b"")

    async def close(self) -> None:
        self.closed.set()


@dataclass
class FakeNodes:
    nodes: dict[str, Node] = field(default_factory=lambda: {NODE.name: NODE})

    async def get(self, name: str, *_: object) -> Node:
        if name not in self.nodes:
            raise NodeNotFound(f"there is no node {name}", node=name)
        return self.nodes[name]

    async def add(self, request: Any, login: Any, *, connect: bool, install_key: bool, actor: str) -> Node:
        return replace(NODE, name=request.name, metadata={"actor": actor})

    async def list(self, **filters: Any) -> Page[Node]:
        return Page(items=list(self.nodes.values()), next_cursor=None)

    edit = connect = disconnect = probe = trust = cordon = uncordon = get

    async def remove(self, name: str, *, force: bool, actor: str) -> None:
        await self.get(name)

    async def install(self, name: str, *_: object, **__: object) -> Key:
        await self.get(name)
        return KEY


@dataclass
class FakeOperations:
    """An operation is `after` what `end` says, as soon as `release` is set."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    after: Operation = field(
        default_factory=lambda: replace(OPERATION, state="succeeded", result=msgspec.to_builtins(WORKSPACE))
    )

    async def get(self, id: str) -> Operation:
        if id != OPERATION.id:
            raise OperationNotFound(f"there is no operation {id}")
        return self.after if self.release.is_set() else OPERATION

    cancel = get

    async def wait(self, id: str, timeout_seconds: float) -> Operation:
        await self.get(id)
        try:
            await asyncio.wait_for(self.release.wait(), timeout_seconds)
        except TimeoutError:
            return OPERATION
        return self.after

    async def watch(self, id: str) -> AsyncIterator[Operation]:
        yield OPERATION
        await self.release.wait()
        yield self.after

    async def list(self, **filters: Any) -> Page[Operation]:
        return Page(items=[OPERATION], next_cursor="next")

    def fail(self, error: VendettaError) -> None:
        self.after = replace(OPERATION, state="failed", error=Problem.from_error(error))
        self.release.set()


@dataclass
class FakeWorkspaces:
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    pieces: asyncio.Queue[Output | Exception | None] = field(default_factory=asyncio.Queue)
    logs_closed: asyncio.Event = field(default_factory=asyncio.Event)
    streams: list[FakeStream] = field(default_factory=list)
    refusal: VendettaError | None = None

    async def get(self, name: str) -> Workspace:
        if name != WORKSPACE.name:
            raise WorkspaceNotFound(f"there is no workspace {name}")
        return WORKSPACE

    async def list(self, **filters: Any) -> Page[Workspace]:
        return Page(items=[WORKSPACE], next_cursor=None)

    async def create(self, ask: Ask, request: Any) -> Operation:
        self.asked.append(("create", request.name, ask))
        return OPERATION

    async def snapshots(self, name: str) -> Sequence[Snapshot]:
        await self.get(name)
        return [SNAPSHOT]

    async def stat_path(self, name: str, path: str) -> PathStat:
        await self.get(name)
        if path != "/srv":
            raise PathNotFound(f"there is nothing at {path}")
        return PATH_STAT

    async def put_archive(self, name: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        await self.get(name)
        self.asked.append(("put", directory, b"".join([piece async for piece in archive])))

    async def get_archive(self, name: str, path: str) -> AsyncIterator[Output]:
        await self.stat_path(name, path)
        yield Output("stdout", b"half ")
        yield Output("stdout", b"and half")

    async def logs(self, name: str, **options: Any) -> AsyncIterator[Output]:
        await self.get(name)
        try:
            while piece := await self.pieces.get():
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.logs_closed.set()

    async def stats(self, name: str) -> Stats:
        await self.get(name)
        return STATS

    @asynccontextmanager
    async def console(self, name: str, terminal: Terminal) -> AsyncIterator[FakeProcess]:
        async def greet(process: FakeProcess) -> int:
            await process.output.put(Output("stdout", f"{terminal.columns} columns".encode()))
            return 0

        await self.get(name)
        process = FakeProcess(greet)
        try:
            yield process
        finally:
            await process.close()

    @asynccontextmanager
    async def dial(self, name: str, port: int) -> AsyncIterator[FakeStream]:
        await self.get(name)
        if self.refusal:
            raise self.refusal
        stream = FakeStream()
        self.streams.append(stream)
        try:
            yield stream
        finally:
            await stream.close()


@dataclass
class FakeImages:
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def list(self, node: str, provider: str | None) -> Sequence[Image]:
        self._check(node)
        return [replace(IMAGE, provider=provider or IMAGE.provider)]

    async def push(self, ask: Ask, request: ImageRequest, content: AsyncIterator[bytes]) -> Operation:
        self._check(request.node)
        sent = b"".join([piece async for piece in content])
        self.asked.append(("push", request.provider, request.name, sent, ask))
        return replace(OPERATION, kind="image.push", target=request.node)

    async def pull(self, ask: Ask, request: ImageRequest) -> Operation:
        self._check(request.node)
        self.asked.append(("pull", request.provider, request.name, ask))
        return replace(OPERATION, kind="image.pull", target=request.node)

    remove = pull

    async def build(
        self, node: str, provider: str | None, name: str, context: AsyncIterator[bytes], **options: Any
    ) -> AsyncIterator[BuildNews]:
        self._check(node)
        self.asked.append(("build", name, b"".join([piece async for piece in context]), options))
        yield BuildNews(output="Step 1/1 : FROM busybox\n")
        yield BuildNews(image=IMAGE)

    def _check(self, node: str) -> None:
        if node != NODE.name:
            raise NodeNotFound(f"there is no node {node}", node=node)


class FakeCleanup:
    async def list(self, node: str, provider: str | None) -> Sequence[Belonging]:
        if node != NODE.name:
            raise NodeNotFound(f"there is no node {node}", node=node)
        return [BELONGING]


class FakeDraining:
    async def plan(self, node: str, request: Any) -> DrainResult:
        if node != NODE.name:
            raise NodeNotFound(f"there is no node {node}", node=node)
        return DRAINED


@dataclass
class FakeSubmitter:
    """It has one workspace and one node."""

    asked: list[tuple[str, str, Any, Ask]] = field(default_factory=list)

    async def submit(self, ask: Ask, kind: str, target: str, request: Any) -> Operation:
        if kind.startswith("workspace.") and target != WORKSPACE.name:
            raise WorkspaceNotFound(f"there is no workspace {target}")
        if kind.startswith("node.") and target != NODE.name:
            raise NodeNotFound(f"there is no node {target}", node=target)
        assert isinstance(request, CHANGES[kind].request)
        self.asked.append((kind, target, request, ask))
        return replace(OPERATION, kind=kind, target=target)


@dataclass
class FakeBulk:
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def change_workspaces(self, ask: Ask, request: BulkRequest) -> AsyncIterator[BulkResult]:
        if request.action == "no":
            raise UnknownAction("nobody knows the action no")
        self.asked.append((request, ask))
        for name in request.names:
            yield BulkResult(name=name)

    change_nodes = change_workspaces


class FakeDispatcher:
    async def execute(self, ask: Ask, node: str, command: Any) -> ExecutionResult:
        return ExecutionResult(success=True, output=f"{node} {command.action} {ask.actor}")

    async def submit(self, ask: Ask, node: str, command: Any) -> Operation:
        return OPERATION


@dataclass
class FakeEvents:
    kept: list[Event] = field(default_factory=list)
    news: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)

    async def list(self, since: int, limit: int) -> Page[Event]:
        return Page(items=[event for event in self.kept if event.sequence > since][:limit], next_cursor=None)

    async def watch(self, since: int | None) -> AsyncIterator[Event]:
        for event in self.kept:
            if since is not None and event.sequence > since:
                yield event
        while True:
            yield await self.news.get()


class FakeTokens:
    """The secret of each role is its name."""

    async def authenticate(self, secret: str) -> Token:
        if secret not in ROLES:
            raise Unauthorized("the token is not valid")
        return replace(TOKEN, name=f"of-{secret}", role=secret)

    async def list(self) -> list[Token]:
        return [TOKEN]

    async def create(self, name: str, role: str, actor: str) -> TokenCreated:
        return TokenCreated(token=replace(TOKEN, name=name, role=role), secret="shown once")

    async def revoke(self, id: str, actor: str) -> Token:
        if id != TOKEN.id:
            raise TokenNotFound(f"there is no token {id}")
        return replace(TOKEN, revoked_at=datetime.now(UTC))


class FakeDoctor:
    async def examine(self, name: str, *, essential: bool = False) -> DoctorReport:
        if name == "nowhere":
            raise NodeNotFound("there is no node nowhere")
        return replace(REPORT, checks=REPORT.checks[1:2]) if essential else REPORT


@dataclass
class FakeNodeProcesses:
    script: Callable[[FakeProcess], Awaitable[int]] | None = None
    processes: list[FakeProcess] = field(default_factory=list)
    asked: list[ExecRequest] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, name: str, request: ExecRequest) -> AsyncIterator[FakeProcess]:
        if name != NODE.name:
            raise NodeNotFound(f"there is no node {name}", node=name)
        assert self.script is not None
        process = FakeProcess(self.script)
        self.asked.append(request)
        self.processes.append(process)
        try:
            yield process
        finally:
            await process.close()

    async def run(self, request: RunRequest) -> AsyncIterator[NodeRun]:
        for name in request.nodes or ["gpu"]:
            if name == "nowhere":
                raise NodeNotFound("there is no node nowhere")
            yield NodeRun(node=name, exit_status=0, stdout=" ".join(request.argv))


class FakeKeys:
    async def detect(self) -> list[Key]:
        return [KEY]

    def generate(self, type: str) -> Key:
        return KEY

    async def unlock(self, passphrase: str, path: Path | None = None) -> list[Key]:
        return [replace(KEY, encrypted=True, unlocked=True)]


@dataclass
class FakeRotation:
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def submit(self, *asked: Any) -> Operation:
        self.asked.append(asked)
        return replace(OPERATION, kind="key.rotate", target="server")


class FakeCredentials:
    async def pull(self) -> bool:
        return False

    async def share_keys(self) -> None:
        return


class FakeReplicas:
    member = True


class FakeSockets:
    async def open(self, name: str, kind: str | None = None) -> EngineSocket:
        if name != NODE.name:
            raise NodeNotFound(f"node {name} not found")
        return replace(SOCKET, provider=kind or SOCKET.provider)

    async def close(self, name: str, kind: str | None = None) -> None:
        await self.open(name, kind)


def build_services() -> Services:
    async def status() -> Any:
        return SERVER

    async def check_state() -> None:
        return

    async def figures() -> Figures:
        return Figures(
            nodes={"connected": 2, "offline": 1},
            engines={("docker", "healthy"): 2},
            workspaces={"running": 3},
            operations={("workspace.create", "succeeded"): 4},
            breakers={"open": 1},
            waiting=5,
            leased=6,
        )

    fakes: dict[str, Any] = {
        **dict.fromkeys(
            ("nodes", "node_adding", "node_changes", "node_links", "node_keys", "host_key_trust"), FakeNodes()
        ),
        "node_processes": FakeNodeProcesses(),
        "doctor": FakeDoctor(),
        "workspaces": FakeWorkspaces(),
        "images": FakeImages(),
        "cleanup": FakeCleanup(),
        "bulk": FakeBulk(),
        "draining": FakeDraining(),
        "changes": FakeSubmitter(),
        "descriptions": Descriptions(
            Registry(Technology.of(DockerProvider), Technology.of(MemoryProvider, MemoryEngines().bind))
        ),
        "dispatcher": FakeDispatcher(),
        "operations": FakeOperations(),
        "events": FakeEvents([replace(EVENT, sequence=number) for number in (1, 2, 3)]),
        "tokens": FakeTokens(),
        "keys": FakeKeys(),
        "rotation": FakeRotation(),
        "credentials": FakeCredentials(),
        "replicas": FakeReplicas(),
        "sockets": FakeSockets(),
    }
    return Services(**fakes, status=status, check_state=check_state, figures=figures)
