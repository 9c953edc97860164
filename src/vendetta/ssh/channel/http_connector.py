"""HTTP over a channel: an aiohttp connector whose connections are unix sockets on the node.

An asyncssh channel has the methods that aiohttp uses of a transport (write, pause, resume, eof), so aiohttp's protocol
is joined to it directly. `_create_connection` is a private name of aiohttp (docs/library-internals.md): its version is
bounded for that, and tests/integration/ssh/test_sockets.py holds what is relied on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
import asyncssh
from aiohttp.client_proto import ResponseHandler

KEEP_ALIVE_SECONDS = 300.0

OpenSession = Callable[[Callable[[], asyncssh.SSHUNIXSession[bytes]]], Awaitable[bool]]
"""Opens a channel to the socket, for the session that it makes; true where that takes one of sshd's sessions."""


class ChannelConnector(aiohttp.BaseConnector):
    """Open a channel for each HTTP connection that is wanted at once, and keep it alive for the next request."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._open_session = open_session

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """Open a channel for a request. Raises what opening a channel raises, unchanged: callers know these errors."""
        handler = ResponseHandler(loop=asyncio.get_running_loop())
        async with asyncio.timeout(timeout.sock_connect or timeout.connect):
            takes_session = await self._open_session(lambda: Joint(handler))
        # few can be open at once, so each is given back after its answer instead of waiting for the next request
        self._force_close = takes_session
        return handler


class Joint(asyncssh.SSHUNIXSession[bytes]):
    """Pass what a channel receives to an asyncio protocol."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol

    def connection_made(self, chan: "asyncssh.SSHUNIXChannel[bytes]") -> None:
        self._protocol.connection_made(cast("asyncio.Transport", chan))

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._protocol.data_received(data)

    def eof_received(self) -> bool:
        return bool(self._protocol.eof_received())

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on, with the error of a socket: aiohttp's users don't know those of asyncssh."""
        if exc is not None and not isinstance(exc, OSError):
            exc = ConnectionResetError(str(exc))
        self._protocol.connection_lost(exc)
