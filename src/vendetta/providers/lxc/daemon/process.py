"""A program that runs in an instance by exec, or its console, as the transport's `Process`: a websocket for each stream
and one for control."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from signal import Signals
from typing import Any, Literal

import msgspec
from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType

from vendetta.errors import InvalidInput, WrongState
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Output, Terminal

from .engine import Engine, Reply, receive
from .errors import Refused

CONTROL_SECONDS = 5.0
"""How long the daemon may take to change a size, or to pass a signal on."""

Channel = Literal["stdout", "stderr"]

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_END_OF_INPUT = b"\x04"
_PIECES = 4
"""How many pieces of output wait here to be read before the other side has to wait."""

_PIECE_BYTES = 1 << 18


class DaemonProcess:
    """`program` is its name, for what is said of one that isn't there. A console has no end of its own, and goes on."""

    def __init__(
        self,
        engine: Engine,
        operation: Reply,
        sockets: Mapping[str, ClientWebSocketResponse],
        *,
        has_terminal: bool,
        is_console: bool = False,
        program: str = "",
    ) -> None:
        self._engine = engine
        self._sockets = sockets
        self._input = sockets["0"]
        self._has_terminal = has_terminal
        self._is_console = is_console
        self._program = program
        self._output: asyncio.Queue[Output | None] = asyncio.Queue(_PIECES)
        self._silent = True
        self._broken = False
        self._closed = False
        self._ended = asyncio.Event()
        self._controlling = asyncio.Lock()
        # The engine forgets an operation five seconds after its end: it is waited for from the first.
        self._end = asyncio.create_task(self._wait_for_end(operation))
        channels: dict[str, Channel] = {"0": "stdout"} if has_terminal else {"1": "stdout", "2": "stderr"}
        self._pumping = asyncio.create_task(self._pump_all(channels))

    @classmethod
    async def start(
        cls, engine: Engine, operation: Reply, *, terminal: Terminal | None, is_console: bool = False, program: str = ""
    ) -> "DaemonProcess":
        """Open the websockets that an operation waits for. To be called under the engine's `doing`."""
        path = f"operations/{operation['id']}/websocket"
        secrets: Mapping[str, str] = operation["metadata"]["fds"]
        # The program starts as soon as its streams are open, and may have ended before control is: that goes first.
        sockets = {"control": await engine.websocket(path, secret=secrets["control"])}
        names = [name for name in secrets if name != "control"]
        opened = await asyncio.gather(
            *(engine.websocket(path, secret=secrets[name]) for name in names), return_exceptions=True
        )
        sockets |= {name: one for name, one in zip(names, opened, strict=True) if not isinstance(one, BaseException)}
        for failure in (one for one in opened if isinstance(one, BaseException)):
            await asyncio.gather(*(socket.close() for socket in sockets.values()), return_exceptions=True)
            raise failure
        return cls(
            engine, operation, sockets, has_terminal=terminal is not None, is_console=is_console, program=program
        )

    async def read(self) -> Output | None:
        if self._ended.is_set():
            return None
        piece = await self._output.get()
        if piece is None:
            if self._broken:
                async with self._engine.doing("read from a program"):
                    await asyncio.shield(self._end)  # whose failure says what has happened
            self._ended.set()
        return piece

    async def write(self, data: bytes) -> None:
        """Write `data`, or drop it where the program has gone: reading on tells how it ended."""
        for start in range(0, len(data), _PIECE_BYTES):
            try:
                await self._input.send_bytes(data[start : start + _PIECE_BYTES])
            except (ClientError, ConnectionError):
                return

    async def write_eof(self) -> None:
        try:
            if self._has_terminal:
                await self._input.send_bytes(_END_OF_INPUT)
            else:
                await self._input.send_str("")  # the daemon's sign for it
        except (ClientError, ConnectionError):
            return

    async def resize(self, columns: int, rows: int) -> None:
        if self._has_terminal:
            size = {"width": str(columns), "height": str(rows)}
            await self._control({"command": "window-resize", "args": size})

    async def signal(self, name: str) -> None:
        try:
            number = Signals[f"SIG{name}"].value
        except KeyError as exc:
            raise InvalidInput(f'unknown signal "{name}"', hint="For example: INT, TERM, KILL, HUP.") from exc
        await self._control({"command": "signal", "signal": number})

    async def wait(self) -> int:
        await self._ended.wait()
        if self._closed and self._end.cancelled():
            raise WrongState("the program was let go of while it ran: how it ends can't be known")
        async with self._engine.doing("ask how a program ended"):
            return await asyncio.shield(self._end)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._is_console and not self._end.done():
            await self._control({"command": "signal", "signal": Signals.SIGKILL.value}, until_done=False)
        self._pumping.cancel()
        await asyncio.gather(
            self._pumping, *(socket.close() for socket in self._sockets.values()), return_exceptions=True
        )
        await cancel_and_wait(self._end)
        self._ended.set()

    async def _control(self, message: Mapping[str, Any], *, until_done: bool = True) -> None:
        """The daemon takes one message after the other: once it answers the ping behind this one, this one is done."""
        socket = self._sockets["control"]
        async with self._controlling:
            # as it has ended, or there is nobody who answers, it makes no difference any more
            with suppress(ClientError, OSError):
                await socket.send_str(msgspec.json.encode(message).decode())
                if until_done:
                    await socket.ping()
                    async with asyncio.timeout(CONTROL_SECONDS):
                        while (await receive(socket)).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                            pass

    async def _wait_for_end(self, operation: Reply) -> int:
        try:
            ended = await self._engine.wait(operation)
        except Refused as exc:
            # so it calls whatever ended with these
            statuses = {"Command not found": _NOT_FOUND, "Command not executable": _NOT_EXECUTABLE}
            if exc.words in statuses:
                return statuses[exc.words]
            raise
        return int((ended.get("metadata") or {}).get("return", 0))

    async def _pump_all(self, channels: Mapping[str, Channel]) -> None:
        try:
            await asyncio.gather(*(self._pump(self._sockets[key], channel) for key, channel in channels.items()))
        except (ClientError, OSError):
            self._broken = True
        if self._has_terminal:
            await self._input.close()  # which the daemon waits for
        if self._silent and not self._is_console and not self._broken:
            await self._explain()
        await self._output.put(None)

    async def _pump(self, socket: ClientWebSocketResponse, channel: Channel) -> None:
        """Pass output on up to the daemon's sign for the end, an empty text, or the end of the connection."""
        while (message := await receive(socket)).type is WSMsgType.BINARY:
            self._silent = False
            await self._output.put(Output(channel, message.data))
        if message.type not in (WSMsgType.TEXT, WSMsgType.CLOSE):
            self._broken = True

    async def _explain(self) -> None:
        """On its streams the daemon says nothing of a program that can't be run."""
        await asyncio.wait([self._end])
        if self._end.cancelled() or self._end.exception() is not None:
            return
        words = {_NOT_FOUND: "there is no such program", _NOT_EXECUTABLE: "it can't be run"}.get(self._end.result())
        if words:
            said = f"{self._program}: {words}, or it says so itself\n".encode()
            await self._output.put(Output("stdout" if self._has_terminal else "stderr", said))
