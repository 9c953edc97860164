"""Forwarded TCP and unix connections as the transport's streams."""

from contextlib import suppress

import asyncssh

from vendetta.ssh.failures import using

CHUNK_BYTES = 65536


class ChannelStream:
    """A stream over one channel. `what` is verb and object, for messages of errors."""

    def __init__(
        self, node: str, what: str, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]
    ) -> None:
        self._node = node
        self._what = what
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = CHUNK_BYTES) -> bytes:
        with using(self._node, self._what):
            return await self._reader.read(limit)

    async def write(self, data: bytes) -> None:
        with using(self._node, self._what):
            self._writer.write(data)
            await self._writer.drain()

    async def write_eof(self) -> None:
        with using(self._node, self._what), suppress(BrokenPipeError):
            self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
