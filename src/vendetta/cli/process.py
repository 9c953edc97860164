"""A process elsewhere, here: its streams on ours, its terminal as ours, its exit status as ours."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vendetta.client.channels import ExecFields, ProcessChannel, open_process
from vendetta.client.http import Http
from vendetta.errors import ConnectionLost, InvalidInput

from . import exits
from .session import Session

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_PIECE_BYTES = 65536
_INTERRUPT_GRACE_SECONDS = 2.0

LEAVE = b"\x1d"
"""Ctrl-]: the key that leaves a console, as with telnet and virsh."""


def run_process(session: Session, path: str, request: ExecFields, *, stdin: bool, leave: bytes | None = None) -> int:
    """Run a process to its end and return its exit status.

    `path` is that of the exec stream; with `stdin` ours is sent to it.

    `leave` is the key that lets go of it, as if it had ended with 0.

    Raises `InvalidInput` for a terminal that is to be typed on where stdin is none.
    """
    tty = request.get("tty", False)
    if tty and stdin and not sys.stdin.isatty():
        raise InvalidInput("the input device is not a terminal", hint="Leave out -t, or run it from a terminal.")
    if tty:
        request = {**request, **_terminal_fields()}
    session.client.http.open()
    sys.stdout.flush()
    with _raw_terminal(tty and stdin):
        return asyncio.run(_run(session.client.http, path, request, stdin, leave))


async def _run(http: Http, path: str, request: ExecFields, stdin: bool, leave: bytes | None) -> int:
    async with open_process(http, path, request) as channel:
        feeding = asyncio.ensure_future(_feed(channel, leave) if stdin else channel.write_eof())
        work = asyncio.ensure_future(_carry(channel, feeding))
        with _signals(channel, work, tty=request.get("tty", False)) as ended_by:
            try:
                return await work
            except asyncio.CancelledError:
                return ended_by[-1] if ended_by else exits.INTERRUPTED
            except BrokenPipeError:
                return exits.BROKEN_PIPE


async def _carry(channel: ProcessChannel, feeding: "asyncio.Future[None]") -> int:
    try:
        async for output in channel.outputs():
            _write_all(_STDOUT if output.channel == "stdout" else _STDERR, output.data)
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError, ConnectionLost):
            await feeding
    return channel.exit_status or 0


async def _feed(channel: ProcessChannel, leave: bytes | None) -> None:
    async for data in _read_stdin():
        typed, left, _ = data.partition(leave) if leave else (data, b"", b"")
        await channel.write(typed)
        if left:
            await channel.leave()
            return
    await channel.write_eof()


async def _read_stdin() -> AsyncIterator[bytes]:
    """Yield pieces of stdin, without a thread and without making it non-blocking for the programs that share it."""
    loop = asyncio.get_running_loop()
    while True:
        readable = asyncio.Event()
        try:
            loop.add_reader(_STDIN, readable.set)
        except PermissionError:
            readable.set()  # a regular file: epoll refuses it, since it is always ready
            await asyncio.sleep(0)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(_STDIN)
        data = os.read(_STDIN, _PIECE_BYTES)
        if not data:
            return
        yield data


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


@contextmanager
def _signals(channel: ProcessChannel, work: "asyncio.Future[int]", *, tty: bool) -> Iterator[list[int]]:
    """Send Ctrl-C and changes of the terminal's size to the process. A second Ctrl-C ends this program."""
    loop = asyncio.get_running_loop()
    telling: set[asyncio.Task[None]] = set()
    ended_by: list[int] = []

    def send(message: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(_quietly(message))
        telling.add(task)
        task.add_done_callback(telling.discard)

    def interrupt() -> None:
        ended_by.append(exits.INTERRUPTED)
        if len(ended_by) > 1:
            work.cancel()
            return
        send(channel.signal("INT"))
        loop.call_later(_INTERRUPT_GRACE_SECONDS, work.cancel)

    def terminate() -> None:
        ended_by.append(exits.TERMINATED)
        work.cancel()

    def resize() -> None:
        size = _terminal_size()
        send(channel.resize(size.columns, size.lines))

    reactions = {signal.SIGINT: interrupt, signal.SIGTERM: terminate, signal.SIGHUP: terminate}
    if tty:
        reactions[signal.SIGWINCH] = resize
    for number, reaction in reactions.items():
        loop.add_signal_handler(number, reaction)
    try:
        yield ended_by
    finally:
        for number in reactions:
            loop.remove_signal_handler(number)


async def _quietly(message: Coroutine[Any, Any, None]) -> None:
    with suppress(ConnectionLost):  # it has ended: no process takes it
        await message


@contextmanager
def _raw_terminal(raw: bool) -> Iterator[None]:
    """Send every key to the other side; the terminal's mode is restored in the end."""
    if not raw:
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(_STDIN)
    tty.setraw(_STDIN)
    try:
        yield
    finally:
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)


def _terminal_fields() -> ExecFields:
    size = _terminal_size()
    return {"columns": size.columns, "rows": size.lines, "terminal_type": os.environ.get("TERM") or "xterm-256color"}


def _terminal_size() -> os.terminal_size:
    for fd in (_STDOUT, _STDIN, _STDERR):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        if size.columns and size.lines:
            return size
    return os.terminal_size((80, 24))
