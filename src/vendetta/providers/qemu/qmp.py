"""QMP, the way qemu is spoken to: JSON lines over the VM's unix sockets (docs/interop/qmp-spec.txt of QEMU).

A client of our own, because a provider has a stream of the transport rather than a socket, and because an answer is
had in one round trip: what is asked is sent without waiting for the greeting.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from vendetta.errors import EngineUnavailable, ProviderError, UnexpectedReply
from vendetta.transport import Stream, Transport

ANSWER_SECONDS = 20.0
"""For one answer. Somebody else may be speaking to the socket, which serves one at a time."""
MOST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class QmpEvent:
    name: str
    data: Mapping[str, Any]


class Qmp:
    """One connection, for one task at a time. Made by `open_qmp`."""

    def __init__(self, stream: Stream, what: str) -> None:
        self._stream = stream
        self._what = what
        self._buffer = bytearray()
        self._events: deque[QmpEvent] = deque()
        self._asked = 0

    async def begin(self) -> Self:
        await self._send("qmp_capabilities", {})
        return self

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Return the command's result.

        Underscores in names stand for hyphens. Raises `ProviderError` with qemu's reason.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                number = await self._send(command, arguments)
                while True:
                    message = await self._receive()
                    if message is None:
                        raise EngineUnavailable(f"{self._what}: qemu ended")
                    if message.get("id") == number:
                        break
        except TimeoutError as exc:
            raise EngineUnavailable(f"{self._what}: qemu doesn't answer") from exc
        if error := message.get("error"):
            raise ProviderError(f"{self._what}: {error['desc']}", command=command)
        return message.get("return")

    async def next_event(self) -> QmpEvent | None:
        """Return the next event; None once qemu has ended. Raises `LinkError`."""
        while not self._events:
            if await self._receive() is None:
                return None
        return self._events.popleft()

    async def _send(self, command: str, arguments: Mapping[str, Any]) -> int:
        self._asked += 1
        given = {name.replace("_", "-"): value for name, value in arguments.items()}
        message = {"execute": command, "id": self._asked, **({"arguments": given} if given else {})}
        await self._stream.write(msgspec.json.encode(message) + b"\n")
        return self._asked

    async def _receive(self) -> dict[str, Any] | None:
        """The next message, and None at the end; events are put by."""
        while b"\n" not in self._buffer:
            piece = await self._stream.read()
            if not piece:
                return None
            self._buffer += piece
            if len(self._buffer) > MOST_BYTES:
                raise UnexpectedReply(f"{self._what}: qemu's answer has no end")
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        try:
            message = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as exc:
            raise UnexpectedReply(f"{self._what}: what answers isn't qemu") from exc
        if name := message.get("event"):
            self._events.append(QmpEvent(str(name), message.get("data") or {}))
        return message


@asynccontextmanager
async def open_qmp(transport: Transport, path: str, what: str) -> AsyncIterator[Qmp]:
    """Connect to its QMP. `what` is verb and object, for messages.

    Raises `EngineUnavailable` where no qemu listens there.
    """
    stream = await transport.open_unix(path)
    try:
        yield await Qmp(stream, f"{what} on node {transport.node}").begin()
    finally:
        await stream.close()
