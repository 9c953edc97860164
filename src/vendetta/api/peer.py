"""Who is at the other end of a unix socket, by the kernel's word (SO_PEERCRED), and whether they are still there.

Subclasses of uvicorn's protocols, which know nothing of unix peers. The peer stands where ASGI has the client.
"""

import asyncio
import os
import socket
import struct

import structlog
from starlette.requests import HTTPConnection
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

log = structlog.get_logger(__name__)

LOCAL = "uid:"
_CREDENTIALS = struct.Struct("3i")


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return who is at the other end of a unix socket (`("uid:1000", 0)`); None elsewhere."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return (f"{LOCAL}{uid}", 0)


def may_enter(peer: tuple[str, int] | None) -> bool:
    """Return whether a local user may connect: only the server's user and root, whatever the mode of the socket."""
    return peer is None or peer[0] in (f"{LOCAL}{os.geteuid()}", f"{LOCAL}0")


def gone(connection: HTTPConnection) -> asyncio.Event:
    """Return an event that is set once the caller's WebSocket is lost, also while nobody reads from it."""
    event: asyncio.Event = connection.state.gone
    return event


class HttpProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = peer_of(transport)
        self.client = peer or self.client
        if not may_enter(peer):
            log.warning("refused", peer=peer, error="only the server's own user and root may use its socket")
            transport.close()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = peer_of(transport) or self.client
        self._gone = asyncio.Event()

    async def run_asgi(self) -> None:
        self.scope["state"]["gone"] = self._gone
        await super().run_asgi()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gone.set()

    def shutdown(self) -> None:
        # a stream that is open is told why it ends by whoever serves it, and closed then
        if not self.handshake_complete:
            super().shutdown()
