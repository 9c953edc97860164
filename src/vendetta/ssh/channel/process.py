"""Run a process on the node: its streams, its terminal, its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from signal import Signals
from typing import Literal

import asyncssh

from vendetta.errors import InvalidInput, Unsupported, VendettaError
from vendetta.ssh.failures import lost, using
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Output, Terminal

from .streams import CHUNK_BYTES

SIGNALS = frozenset(
    {"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"}
)
"""The signals that RFC 4254, 6.10, names."""
KEYSTROKES = {"INT": b"\x03", "QUIT": b"\x1c"}
"""The bytes that a terminal turns into signals by itself."""
HUNG_UP = 128 + Signals.SIGHUP


class ChannelProcess:
    """A process on the node. `release` gives its session slot back, and is called once, however it ends.

    `signals`: sshd passes them on, which it does not for root (it has no second process to do it from).
    """

    def __init__(
        self,
        node: str,
        process: asyncssh.SSHClientProcess[bytes],
        terminal: Terminal | None,
        release: Callable[[], None],
        *,
        signals: bool = True,
    ) -> None:
        self._node = node
        self._process = process
        self._terminal = terminal
        self._signals = signals
        self._closed = False
        # a piece or two are enough to keep going; what isn't read stays with the sender
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue(maxsize=2)
        self._failure: VendettaError | None = None
        self._reading = asyncio.create_task(self._read_all())
        self._ending = asyncio.create_task(self._end(release))

    async def read(self) -> Output | None:
        output = await self._outputs.get()
        if output is None:
            self._outputs.put_nowait(None)
            if self._failure:
                raise self._failure
        return output

    async def write(self, data: bytes) -> None:
        """Write to its stdin. After the process has ended nothing happens: its status says enough."""
        with using(self._node, "write to a process"), suppress(BrokenPipeError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def write_eof(self) -> None:
        with using(self._node, "write to a process"), suppress(BrokenPipeError):
            self._process.stdin.write_eof()

    async def resize(self, columns: int, rows: int) -> None:
        if self._terminal and not self._ended:
            with suppress(OSError):  # it ended just now
                self._process.change_terminal_size(columns, rows)

    async def signal(self, name: str) -> None:
        if name not in SIGNALS:
            raise InvalidInput(f'"{name}" is not a signal', hint=f"Signals: {', '.join(sorted(SIGNALS))}.")
        if self._ended:
            return
        if self._signals:
            with suppress(OSError):  # it ended just now
                self._process.send_signal(name)
        elif self._terminal and name in KEYSTROKES:
            await self.write(KEYSTROKES[name])
        else:
            raise Unsupported(
                f"signal a process on node {self._node}: sshd passes no signals on for root",
                hint="Log in as another user, or use a terminal, which takes INT and QUIT.",
                node=self._node,
            )

    async def wait(self) -> int:
        """Return the exit status; 128 + HUP if it was closed before it ended."""
        with using(self._node, "wait for a process"):
            await self._process.wait_closed()
        status = exit_status(self._process)
        if status is not None:
            return status
        if self._closed:
            return HUNG_UP
        raise lost(self._node, "wait for a process")

    async def close(self) -> None:
        """Send the process HUP, as a terminal does when its user leaves; without a terminal sshd would not."""
        if not self._closed:
            self._closed = True
            hang_up(self._process, "HUP")
        await cancel_and_wait(self._reading)
        while not self._outputs.empty():
            self._outputs.get_nowait()
        self._outputs.put_nowait(None)

    @property
    def _ended(self) -> bool:
        return self._closed or self._process.exit_status is not None

    async def _end(self, release: Callable[[], None]) -> None:
        try:
            await self._process.wait_closed()
        finally:
            release()

    async def _read_all(self) -> None:
        try:
            with using(self._node, "read from a process"):
                await asyncio.gather(
                    self._read("stdout", self._process.stdout), self._read("stderr", self._process.stderr)
                )
        except VendettaError as exc:
            self._failure = exc
        await self._outputs.put(None)

    async def _read(self, channel: Literal["stdout", "stderr"], reader: asyncssh.SSHReader[bytes]) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._outputs.put(Output(channel, data))


def hang_up(process: "asyncssh.SSHClientProcess[bytes]", signal: str) -> None:
    """Signal a process that still runs (sshd signals its whole process group), and close its channel in any case."""
    if process.exit_status is None:
        with suppress(OSError):  # the channel has gone
            process.send_signal(signal)
    process.close()


def exit_status(process: "asyncssh.SSHClientProcess[bytes]") -> int | None:
    """Return the exit status, 128 + N for signal N as shells count; None if the channel ended before the process."""
    if process.returncode is None:
        return None
    return 128 - process.returncode if process.returncode < 0 else process.returncode
