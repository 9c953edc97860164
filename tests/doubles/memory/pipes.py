"""Bytes between two tasks: a bounded pipe, and a stream made of two of them."""

import asyncio


class Pipe:
    """Whoever writes waits while more than `limit` bytes are unread."""

    def __init__(self, limit: int = 256 * 1024) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._ended = False
        self._changed = asyncio.Condition()

    async def read(self, limit: int = 65536) -> bytes:
        """Empty once all was read and the end was written."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._buffer or self._ended)
            data = bytes(self._buffer[:limit])
            del self._buffer[:limit]
            self._changed.notify_all()
            return data

    async def read_line(self) -> bytes:
        """Up to and with the newline, or all that was left before the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: b"\n" in self._buffer or self._ended)
            head, newline, _ = self._buffer.partition(b"\n")
            line = bytes(head + newline)
            del self._buffer[: len(line)]
            self._changed.notify_all()
            return line

    async def write(self, data: bytes) -> None:
        """After the end: the bytes are dropped, as by a peer that has gone."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._buffer) < self._limit or self._ended)
            if not self._ended:
                self._buffer += data
                self._changed.notify_all()

    async def end(self) -> None:
        async with self._changed:
            self._ended = True
            self._changed.notify_all()


class PipeStream:
    """One side of a two-way stream: reads from one pipe, writes to the other. `server` is the task behind it."""

    def __init__(self, incoming: Pipe, outgoing: Pipe, server: asyncio.Task[None]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._server = server

    async def read(self, limit: int = 65536) -> bytes:
        return await self._incoming.read(limit)

    async def write(self, data: bytes) -> None:
        await self._outgoing.write(data)

    async def write_eof(self) -> None:
        await self._outgoing.end()

    async def close(self) -> None:
        await self._outgoing.end()
        await self._incoming.end()
        await asyncio.wait([self._server])
