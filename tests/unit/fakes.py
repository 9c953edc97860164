"""A transport without a node, for unit tests of providers: it answers as told, and keeps what it was asked."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aiohttp import BaseConnector, UnixConnector

from vendetta.errors import EngineUnavailable, VendettaError
from vendetta.transport import CommandResult, Output, Terminal


@dataclass
class FakeStream:
    """`incoming` is what the other side sends before it ends; `written` is what it got."""

    incoming: bytes = b""
    written: bytearray = field(default_factory=bytearray)
    ended: bool = False
    closed: bool = False

    async def read(self, limit: int = 65536) -> bytes:
        data, self.incoming = self.incoming[:limit], self.incoming[limit:]
        return data

    async def write(self, data: bytes) -> None:
        self.written += data

    async def write_eof(self) -> None:
        self.ended = True

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeProcess:
    """`outputs` are what it writes before it ends with `exit_status`."""

    outputs: Sequence[Output] = ()
    exit_status: int = 0
    written: bytearray = field(default_factory=bytearray)
    signals: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    ended: bool = False
    closed: bool = False

    def __post_init__(self) -> None:
        self._pending = deque(self.outputs)

    async def read(self) -> Output | None:
        return self._pending.popleft() if self._pending else None

    async def write(self, data: bytes) -> None:
        self.written += data

    async def write_eof(self) -> None:
        self.ended = True

    async def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def signal(self, name: str) -> None:
        self.signals.append(name)

    async def wait(self) -> int:
        return self.exit_status

    async def close(self) -> None:
        self.closed = True


Answer = CommandResult | VendettaError
T = TypeVar("T")


class FakeTransport:
    """A script: what a command, a socket or a port answers. What was not scripted fails the test.

    An error as the answer is raised. A command that was given several answers gives them in turn, the last for good.
    `sockets` are reached over HTTP by the path of a real socket on this machine.
    """

    node = "fake"

    def __init__(self) -> None:
        self.ran: list[tuple[tuple[str, ...], bytes | None]] = []
        self.files: dict[str, bytes] = {}
        self.sockets: dict[str, Path] = {}
        self._results: dict[tuple[str, ...], deque[Answer]] = {}
        self._processes: dict[tuple[str, ...], FakeProcess] = {}
        self._streams: dict[str | tuple[str, int], FakeStream | VendettaError] = {}
        self._guests: dict[tuple[str, int], FakeGuest | VendettaError] = {}
        self._connectors: dict[str, BaseConnector] = {}

    # the script

    def on_run(self, *argv: str, answer: Answer | None = None, stdout: bytes = b"", exit_status: int = 0) -> None:
        result = answer or CommandResult(exit_status, stdout, b"")
        self._results.setdefault(argv, deque()).append(result)

    def on_process(self, *argv: str, process: FakeProcess) -> None:
        self._processes[argv] = process

    def on_unix(self, path: str, stream: FakeStream | VendettaError) -> None:
        self._streams[path] = stream

    def on_tcp(self, host: str, port: int, stream: FakeStream | VendettaError) -> None:
        self._streams[host, port] = stream

    def on_login(self, host: str, port: int, guest: "FakeGuest | VendettaError") -> None:
        self._guests[host, port] = guest

    # the transport

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        self.ran.append((tuple(argv), input))
        answers = self._results.get(tuple(argv))
        assert answers, f"nobody said what {list(argv)} answers"
        return _given(answers.popleft() if len(answers) > 1 else answers[0])

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> FakeProcess:
        self.ran.append((tuple(argv), None))
        assert tuple(argv) in self._processes, f"nobody said what {list(argv)} does"
        return self._processes[tuple(argv)]

    async def open_unix(self, path: str) -> FakeStream:
        assert path in self._streams, f"nobody said what answers at {path}"
        return _given(self._streams[path])

    async def open_tcp(self, host: str, port: int) -> FakeStream:
        assert (host, port) in self._streams, f"nobody said what answers at {host}:{port}"
        return _given(self._streams[host, port])

    async def login(self, host: str, port: int, *, user: str, private_key: str, host_key: str) -> "FakeGuest":
        assert (host, port) in self._guests, f"nobody said who lets us in at {host}:{port}"
        return _given(self._guests[host, port])

    def http(self, socket_path: str) -> BaseConnector:
        if socket_path not in self.sockets:
            raise EngineUnavailable(f"there is no {socket_path} on node {self.node}")
        if socket_path not in self._connectors:
            self._connectors[socket_path] = UnixConnector(str(self.sockets[socket_path]))
        return self._connectors[socket_path]

    async def close(self) -> None:
        for connector in self._connectors.values():
            await connector.close()


class FakeGuest(FakeTransport):
    """A machine on the node, scripted like the node itself."""

    closed = False

    async def close(self) -> None:
        self.closed = True
        await super().close()


def _given(answer: T | VendettaError) -> T:
    if isinstance(answer, VendettaError):
        raise answer
    return answer
