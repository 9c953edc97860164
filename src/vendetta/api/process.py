"""The server as a process: one a home, listening on a private socket (and on TCP if asked to), ended cleanly."""

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import NoReturn

import structlog
import uvicorn

from vendetta import __version__
from vendetta.errors import InvalidInput
from vendetta.paths import Paths
from vendetta.settings import ServerConfig

from .app import create_app, running_services
from .metrics import Metrics
from .peer import HttpProtocol, WebSocketProtocol

log = structlog.get_logger(__name__)

LONGEST_SOCKET_PATH = 107
GRACE_SECONDS = 10
BACKLOG = 1024


class AlreadyRunning(Exception):
    """Another server holds the lock of this home."""


async def serve(paths: Paths, config: ServerConfig) -> None:
    """Until a signal asks it to stop. Raises `AlreadyRunning`, `InvalidInput`."""
    with ExitStack() as stack:
        stack.enter_context(one_server(paths))
        async with running_services(paths, config) as services:
            app = create_app(services, Metrics())
            sockets = [stack.enter_context(listen_privately(paths))]
            if config.listen_address:
                sockets.append(stack.enter_context(listen_on_tcp(config.listen_address)))
            server = uvicorn.Server(
                uvicorn.Config(
                    app,
                    http=HttpProtocol,
                    ws=WebSocketProtocol,
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    ws_ping_interval=None,
                    ws_per_message_deflate=False,
                    ws_max_size=16 * 2**20,
                    timeout_keep_alive=60,
                    timeout_graceful_shutdown=GRACE_SECONDS,
                )
            )
            async with ending_on_signals(server, services.stopping):
                log.info(
                    "ready", version=__version__, pid=os.getpid(), listen=[str(paths.socket), config.listen_address]
                )
                # `serve` would take the signals, and raise them again before we have closed anything
                await server._serve(sockets)  # noqa: SLF001
            log.info("stopping")
    log.info("stopped")


@contextmanager
def one_server(paths: Paths) -> Iterator[None]:
    """Holds the lock of this home for as long as the block lasts; the kernel lets go of it however we end."""
    for folder in (paths.state_dir, paths.runtime_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyRunning from exc
        yield
    finally:
        os.close(descriptor)


@contextmanager
def listen_privately(paths: Paths) -> Iterator[socket.socket]:
    """0600 in a 0700 folder. One that a dead server left is replaced: we hold the lock."""
    if len(os.fsencode(paths.socket)) > LONGEST_SOCKET_PATH:
        raise InvalidInput(
            f"the path of the server's socket is longer than {LONGEST_SOCKET_PATH} bytes: {paths.socket}",
            hint="Set VENDETTA_HOME to a shorter path.",
        )
    paths.runtime_dir.chmod(0o700)
    paths.socket.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as sock:
        before = os.umask(0o177)
        try:
            sock.bind(str(paths.socket))
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        try:
            yield sock
        finally:
            paths.socket.unlink(missing_ok=True)


@contextmanager
def listen_on_tcp(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        sock = socket.create_server((host, int(port)), family=_family(host), backlog=BACKLOG)
    except OSError as exc:
        raise InvalidInput(f"can't listen on {address}: {exc.strerror or exc}", hint="Change listen_address.") from exc
    with sock:
        yield sock


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@asynccontextmanager
async def ending_on_signals(server: uvicorn.Server, stopping: asyncio.Event) -> AsyncIterator[None]:
    """The first signal ends it in order, the second at once."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        if stopping.is_set():
            leave()
        stopping.set()
        server.should_exit = True

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, end)
    yield


def leave() -> NoReturn:
    """What was begun is on disk, and is resumed at the next start."""
    log.warning("stopped at once: asked twice")
    os._exit(1)
