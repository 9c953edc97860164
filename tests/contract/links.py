"""The way to a site's node: a login of its own, and a link that breaks where a test wants it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.testbed import Node

from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint, Login
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector


@asynccontextmanager
async def open_link(node: Node, directory: Path, link: "FragileLink | None" = None) -> AsyncIterator[Connection]:
    """Logs in to the node as its user, through `link` where there is one. `directory` is for our side's keys."""
    connector = Connector(HostKeys(directory / "pins"), Keys(directory / "keys", directory / "none"))
    host, port = ("127.0.0.1", link.port) if link else (node.address, node.port)
    endpoint = Endpoint(node="gpu", host=host, port=port, user=node.user, identity=str(node.key))
    connection = await connector.open(endpoint, Login(accept_new=True))
    try:
        yield connection
    finally:
        await connection.close()
        await connector.close()


class FragileLink:
    """Carries bytes to a node's sshd and back. `sent` counts the pieces that we sent since it was armed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: set[asyncio.Task[None]] = set()
        self._breaks_after: int | None = None
        self.sent = 0

    async def __aenter__(self) -> "FragileLink":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def arm(self, pieces: int | None = None) -> None:
        """From now on it breaks once so many pieces have reached the node; the answer to the last one is lost."""
        self._breaks_after, self.sent = pieces, 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._node.address, self._node.port)
        for carrying in (self._send(reader, writer, far_writer), self._answer(far_reader, writer)):
            task = asyncio.create_task(carrying)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far_writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(2**16):
                far_writer.write(data)
                await far_writer.drain()
                self.sent += 1
                if self.sent == self._breaks_after:
                    writer.transport.abort()
                    return
        except ConnectionError:
            return
        finally:
            far_writer.close()  # what was written still arrives

    async def _answer(self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await far_reader.read(2**16):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()
