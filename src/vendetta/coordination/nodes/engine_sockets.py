"""Open unix sockets on this machine that lead to the nodes' engines, for programs such as `docker` and compose.

Each connection to such a socket goes to the engine through a channel of the node's one connection, which it leases for
as long as it lasts. A lost link ends the connections; the next one uses a new link. A socket is open until it is closed
by a request: a server that ends leaves its file there, and the next one opens every socket whose file it finds.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from vendetta.coordination.engines import Engines
from vendetta.errors import LinkError, NodeNotFound, Unsupported, VendettaError
from vendetta.models import EngineSocket, Node
from vendetta.private_socket import listen_privately
from vendetta.providers.powers import Direct, require
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait
from vendetta.transport import Stream

log = structlog.get_logger(__name__)

PIECE_BYTES = 256 * 1024
REQUEST_SECONDS = 5.0


class EngineSockets:
    """The sockets of the nodes' engines: `NODE/PROVIDER.sock` below `folder`, which only the server's user can read."""

    def __init__(self, store: Store, engines: Engines, folder: Path) -> None:
        self._store = store
        self._engines = engines
        self._folder = folder
        self._listening: dict[Path, asyncio.Server] = {}
        self._opening = asyncio.Lock()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for path in sorted(self._folder.glob("*/*.sock")):
            try:
                await self._store.nodes.get(path.parent.name)
                await self._listen(path.parent.name, path.stem)
            except (VendettaError, OSError) as exc:
                log.warning("socket isn't opened again", path=str(path), error=str(exc))
                self._remove(path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, server in self._listening.items():
            server.close()
            path.touch(mode=0o600)  # Python 3.13 and newer remove it
        await cancel_and_wait(*self._serving)

    async def open(self, name: str, engine: str | None = None) -> EngineSocket:
        """Open a socket to an engine of the node, or return the one that is open.

        `engine` is a technology, or one of its engines (`docker`, `incus`, `lxd`); None: the first healthy one of the
        node's that has a socket. Raises `NodeNotFound`, `UnknownProvider`, `Unsupported`, `LinkError`, and what opening
        the engine's socket raises.
        """
        node = await self._store.nodes.get(name)
        kind = self._engines.registry.kind_of(engine) if engine else self._choose(node)
        if engine not in (None, kind):
            self._check_engine(node, kind, engine)
        async with self._engines.provider(name, kind) as provider:
            direct = require(provider, Direct)
            # an error is raised here, rather than shown by each program in its own words
            await (await direct.open_socket()).close()
            path = await self._listen(name, kind)
            return EngineSocket(
                node=name, provider=kind, path=str(path), environment=dict(direct.build_environment(str(path)))
            )

    async def close(self, name: str, engine: str | None = None) -> None:
        """Close the node's sockets, or that of `engine`, if any is open. Connections that were made before go on."""
        kind = self._engines.registry.kind_of(engine) if engine else None
        for path in [path for path in self._listening if path.parent.name == name and kind in (None, path.stem)]:
            self._close(path)

    def _choose(self, node: Node) -> str:
        for kind, status in node.providers.items():
            if status.state == "healthy" and "direct" in self._engines.registry.capabilities(kind, status.version):
                return kind
        raise Unsupported(
            f"node {node.name} has no engine that runs and can be spoken to",
            hint=f"See what is there: vendetta node doctor {node.name}",
        )

    def _check_engine(self, node: Node, kind: str, engine: str) -> None:
        """Raise `Unsupported` where the node's technology is known to be another engine."""
        status = node.providers.get(kind)
        if status is not None and status.version is not None and not status.version.startswith(engine):
            found = status.version if status.version[:1].isalpha() else f"{kind} {status.version}"
            raise Unsupported(
                f"node {node.name} has no {engine}, but {found}",
                hint=f"See what is there: vendetta node doctor {node.name}",
            )

    async def _listen(self, name: str, kind: str) -> Path:
        self._engines.registry.check(kind)
        path = self._folder / name / f"{kind}.sock"

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(path, reader, writer), name=f"socket of {name}")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        # of two calls at once both return the same socket
        async with self._opening:
            if path not in self._listening:
                sock = listen_privately(path)
                self._listening[path] = await asyncio.start_unix_server(accept, sock=sock, limit=PIECE_BYTES)
        return path

    async def _serve(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        node, kind = path.parent.name, path.stem
        try:
            async with self._engines.provider(node, kind) as provider:
                stream = await require(provider, Direct).open_socket()
                try:
                    # a lost link, or a program that went away, ends the stream as it is: an answer may have begun
                    with suppress(LinkError, ConnectionError):
                        await join(reader, writer, stream)
                finally:
                    await stream.close()
        except VendettaError as exc:
            if isinstance(exc, NodeNotFound):
                self._close(path)
            log.info("engine can't be reached by its socket", node=node, provider=kind, error=exc.message)
            with suppress(ConnectionError, TimeoutError):
                await answer(reader, writer, exc)
        finally:
            writer.close()

    def _close(self, path: Path) -> None:
        if server := self._listening.pop(path, None):
            server.close()
            self._remove(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # another engine's may be there
            path.parent.rmdir()


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream) -> None:
    """Copy bytes in both directions until the engine closes its side.

    The end of the program's side is passed on to the engine, which `docker exec -i` needs. Raises `LinkError`,
    `ConnectionError`.
    """
    upward = asyncio.create_task(_send(reader, stream))
    try:
        while data := await stream.read(PIECE_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        await cancel_and_wait(upward)


async def _send(reader: asyncio.StreamReader, stream: Stream) -> None:
    # what the engine doesn't take any more is dropped: its answer says why
    with suppress(VendettaError, ConnectionError):
        while data := await reader.read(PIECE_BYTES):
            await stream.write(data)
        await stream.write_eof()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: VendettaError) -> None:
    """Answer a program's request with the error, in a form that those of Docker and of Incus show."""
    async with asyncio.timeout(REQUEST_SECONDS):
        if not await reader.read(PIECE_BYTES):
            return
        said = f"{error.message}. {error.hint}" if error.hint else error.message
        body = msgspec.json.encode({"message": said, "error": said, "error_code": 502, "type": "error"})
        head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
