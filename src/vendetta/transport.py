"""What a provider gets of one node: its processes, sockets and ports, without knowing of SSH.

`ssh.channel.Connection` implements it, and the scripted fake of the unit tests. Every method raises a `LinkError` where
it fails because of the link.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from aiohttp import BaseConnector


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of a process. `exit_status` is 128 + N where signal N ended it, as in a shell."""

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
    """A terminal for a process: its size in characters, and its type, as in `TERM`."""

    columns: int = 80
    rows: int = 24
    type: str = "xterm-256color"


class Stream(Protocol):
    """A two-way stream of bytes, such as a TCP connection."""

    async def read(self, limit: int = 65536) -> bytes:
        """Return at most `limit` bytes, waiting for some; b"" once the other side has closed its direction."""

    async def write(self, data: bytes) -> None:
        """Write all of it, waiting while the other side is slow."""

    async def write_eof(self) -> None:
        """Close this side's direction; reading goes on."""

    async def close(self) -> None:
        """Close both directions. To call it again does nothing."""


class Process(Protocol):
    """A running process: its input and output, its terminal, its end."""

    async def read(self) -> Output | None:
        """Return the next piece of output; None once there is no more."""

    async def write(self, data: bytes) -> None:
        """Write to stdin, waiting while the process is slow; after its end nothing happens."""

    async def write_eof(self) -> None:
        """Close stdin."""

    async def resize(self, columns: int, rows: int) -> None:
        """Set the size of the terminal; without one it does nothing."""

    async def signal(self, name: str) -> None:
        """Send a signal, by its name without SIG (`INT`). Raises `Unsupported` where the engine can't."""

    async def wait(self) -> int:
        """Return the exit status (128 + N for signal N), once all output was read or the process was closed."""

    async def close(self) -> None:
        """Close it, and end the process where that is possible. To call it again does nothing."""


class Transport(Protocol):
    """One node, for a provider: its processes, sockets and ports."""

    @property
    def node(self) -> str:
        """The node's name, for messages."""

    async def run(
        self, argv: Sequence[str], *, input: bytes | None = None, timeout_seconds: float = 60.0
    ) -> CommandResult:
        """Run a process to its end; no exit status is an error. Raises `LinkTimeout` after `timeout_seconds`."""

    async def open_process(
        self, argv: Sequence[str], *, terminal: Terminal | None = None, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a process; an empty `argv` is the user's login shell."""

    async def open_unix(self, path: str) -> Stream:
        """Connect to a unix socket. Raises `EngineUnavailable` if it is absent, `EngineForbidden` if it is closed."""

    async def open_tcp(self, host: str, port: int) -> Stream:
        """Connect to a port as the node reaches it. Raises `ConnectFailed` where nothing listens there."""

    async def login(self, host: str, port: int, *, user: str, private_key: str, host_key: str) -> "Guest":
        """Log in to an sshd that the node reaches, with that private key alone (in OpenSSH's format).

        `host_key` is the host key that it must have, as `TYPE BASE64`. Raises `ConnectFailed`, `LinkTimeout` where it
        doesn't answer yet, `HostKeyChanged`, `AuthFailed`.
        """

    def http(self, socket_path: str) -> "BaseConnector":
        """Return a connector for HTTP requests to that unix socket. It is shared, and closed with the link."""


class Guest(Transport, Protocol):
    """A machine on the node, logged in to through the node's connection."""

    @property
    def closed(self) -> bool:
        """Whether the connection has ended, by `close` or otherwise."""

    async def close(self) -> None:
        """End the connection."""
