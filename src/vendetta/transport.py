"""What a provider gets for one node: the way to its processes, sockets and ports. No SSH is seen from here.

Implemented by `ssh.channel.Connection`, and by the scripted fake of the unit tests. Every method raises a
`LinkError` when the link is the reason it failed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from aiohttp import BaseConnector


@dataclass(frozen=True, slots=True)
class CommandResult:
    """`exit_status` is 128 + N for a process that signal N ended, as shells count."""

    exit_status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a process wrote. With a terminal everything is `stdout`."""

    channel: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Terminal:
    columns: int = 80
    rows: int = 24
    type: str = "xterm-256color"


class Stream(Protocol):
    """A two-way stream of bytes, such as a TCP connection."""

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at most `limit` bytes; empty once the other side has sent its end."""

    async def write(self, data: bytes) -> None:
        """Returns when it may be called again: waits while the other side is slow."""

    async def write_eof(self) -> None:
        """Nothing more will be written; reading goes on."""

    async def close(self) -> None:
        """Ends both directions. Again: nothing happens."""


class Process(Protocol):
    """A running process: its streams, its terminal, its end."""

    async def read(self) -> Output | None:
        """The next piece of output; None once there is no more."""

    async def write(self, data: bytes) -> None: ...

    async def write_eof(self) -> None: ...

    async def resize(self, columns: int, rows: int) -> None:
        """Without a terminal: nothing happens."""

    async def signal(self, name: str) -> None:
        """`name` without SIG (`INT`). Raises `Unsupported` where the engine can't."""

    async def wait(self) -> int:
        """The exit status (128 + N for signal N), once all output was read or the process was closed."""

    async def close(self) -> None:
        """Lets go of it. What can be ended is ended. Again: nothing happens."""


class Transport(Protocol):
    """The node's own side of everything a provider does."""

    @property
    def node(self) -> str:
        """The node's name, for messages."""

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        """Runs to the end. A status other than 0 is a result, not an error. Raises `LinkTimeout` past the time."""

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> Process:
        """An empty `argv` is the user's login shell."""

    async def open_unix(self, path: str) -> Stream:
        """Raises `EngineUnavailable` or `EngineForbidden` where the socket is absent or closed to this user."""

    async def open_tcp(self, host: str, port: int) -> Stream:
        """As seen from the node. Raises `ConnectFailed` when nothing listens there."""

    async def login(self, host: str, port: int, *, user: str, private_key: str, host_key: str) -> "Guest":
        """Logs in to an sshd that the node reaches, by that key alone (in OpenSSH's format).

        `host_key` is the one it must show, as `TYPE BASE64`. Raises `ConnectFailed`, `LinkTimeout` where it doesn't
        answer yet, `HostKeyChanged`, `AuthFailed`.
        """

    def http(self, socket_path: str) -> "BaseConnector":
        """A connector whose HTTP requests reach that unix socket on the node. Shared, and closed with the link."""


class Guest(Transport, Protocol):
    """A machine on the node, logged in to through the node's connection."""

    @property
    def closed(self) -> bool:
        """Whether it has ended, by us or not."""

    async def close(self) -> None: ...
