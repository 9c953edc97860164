"""The server as a process: listening on a private socket (and on TCP if asked to), ended cleanly by a signal."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

import structlog
import uvicorn

from vendetta import __version__
from vendetta.paths import Paths
from vendetta.private_socket import check_path
from vendetta.settings import ServerConfig

from .app import create_app
from .composition import running_services
from .garbage import short_pauses
from .limits import raise_file_limit
from .listeners import describe, listen_on_socket, listen_on_tcp
from .metrics import Metrics
from .peer import HttpProtocol, WebSocketProtocol
from .services import Services

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10
"""How long requests may go on once the server stops; operations have a time of their own."""
PING_SECONDS = 10.0
"""How often a WebSocket is pinged, which finds out that its client is gone while nothing is read from it."""


async def serve(paths: Paths, config: ServerConfig) -> None:
    """Serve until a signal asks it to stop. The caller holds the lock of this home.

    Raises `InvalidInput` where a socket's path or address can't be used.
    """
    check_path(paths.socket)
    raise_file_limit()
    stopping = asyncio.Event()
    end_on_signals(stopping)
    async with running_services(paths, config, stopping) as services:
        # commands of another version look here before they talk to us; in the folder that holds the lock
        paths.version_file.write_text(__version__)
        with ExitStack() as stack:
            stack.enter_context(short_pauses())
            sockets = [stack.enter_context(listen_on_socket(paths.socket))]
            if config.listen_address:
                sockets.append(stack.enter_context(listen_on_tcp(config.listen_address)))
            listen = [describe(sock) for sock in sockets]
            log.info("ready", version=__version__, pid=os.getpid(), listen=listen)
            await Server(services).serve(sockets)
        log.info("stopping")
    log.info("stopped")


class Server(uvicorn.Server):
    """A server that stops once `services.stopping` is set. `end_on_signals` handles signals in place of uvicorn."""

    def __init__(self, services: Services) -> None:
        self._stopping = services.stopping
        super().__init__(
            uvicorn.Config(
                create_app(services, Metrics()),
                http=HttpProtocol,
                ws=WebSocketProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                # a slow reader may be late with its pong
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=None,
                ws_per_message_deflate=False,
                ws_max_size=16 * 2**20,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        # instead of looking ten times a second
        await self._stopping.wait()


def end_on_signals(stopping: asyncio.Event) -> None:
    """Set `stopping` at the first SIGTERM or SIGINT, and end the process at the second."""

    def end() -> None:
        if stopping.is_set():
            leave()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)


def leave() -> NoReturn:
    """End the process at once. The next start resumes the operations, which are in the store."""
    log.warning("stopped at once: asked twice")
    os._exit(1)
