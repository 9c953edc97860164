"""A connection that the engine turned from HTTP into a plain two-way stream, as it does for exec.

One half of it can be closed, and it ends also when the engine was done before anybody looked.
"""

import asyncio
from contextlib import suppress

from aiohttp import ClientError, ClientResponse, StreamReader
from aiohttp.http import StreamWriter

_LIMIT = 2**16


class Hijacked:
    """`reader` has what the engine sends; it pauses the engine while nobody reads."""

    def __init__(self, response: ClientResponse) -> None:
        connection = response.connection
        if connection is None or connection.protocol is None:
            raise ConnectionResetError("the engine kept no connection for the stream")
        loop = asyncio.get_running_loop()
        self._response = response
        self._protocol = connection.protocol
        self._protocol.force_close()
        self._writer = StreamWriter(self._protocol, loop)
        self.reader = StreamReader(self._protocol, _LIMIT, loop=loop)
        self._protocol.set_parser(_Feed(self.reader), self.reader)
        if not self._protocol.is_connected():
            # All was over before this began, and nobody will say so again.
            self.reader.feed_eof()

    async def write(self, data: bytes) -> None:
        """Write `data`, or drop it where the other side has gone: reading on tells how it ended."""
        with suppress(ClientError, ConnectionError):
            await self._writer.write(data)
            await self._writer.drain()

    def write_eof(self) -> None:
        transport = self._protocol.transport
        if transport is not None and not transport.is_closing():
            transport.write_eof()

    def close(self) -> None:
        if self._protocol.transport is not None:
            # A plain close would first wait for the engine to take what was written.
            self._protocol.transport.abort()
        self._response.close()


class _Feed:
    """What aiohttp asks of whoever takes the bytes of an upgraded connection."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()
