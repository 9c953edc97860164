"""Who is at the other end of a unix socket: the kernel's word (SO_PEERCRED), put where ASGI has the client.

Subclasses of uvicorn's protocols, which know nothing of unix peers.
"""

import asyncio
import os
import socket
import struct

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LOCAL = "uid:"


def peer_of(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """`("uid:1000", 0)` on a unix socket; None elsewhere."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return (f"{LOCAL}{uid}", 0)


def may_enter(transport: asyncio.BaseTransport) -> bool:
    """This user and root alone, whatever the mode of the socket says."""
    peer = peer_of(transport)
    return peer is None or peer[0] in (f"{LOCAL}{os.geteuid()}", f"{LOCAL}0")


class HttpProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = peer_of(transport) or self.client
        if not may_enter(transport):
            transport.close()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = peer_of(transport) or self.client
