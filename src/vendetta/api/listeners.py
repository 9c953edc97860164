"""The sockets that the server listens on: a private unix socket always, TCP where the settings say so."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vendetta.errors import InvalidInput
from vendetta.private_socket import BACKLOG, listen_privately


@contextmanager
def listen_on_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a private unix socket, removed in the end. Raises `InvalidInput`."""
    with listen_privately(path) as sock:
        try:
            yield sock
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def listen_on_tcp(address: str) -> Iterator[socket.socket]:
    """Listen on `host:port` or `[IPv6]:port`; port 0 is a free one. Raises `InvalidInput` where that can't be had."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise InvalidInput(f"can't listen on {address}: {exc.strerror or exc}", hint="Change listen_address.") from exc
    # a terminal may be silent for hours: the kernel notices when the other machine went away; accepted ones inherit it
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with sock:
        yield sock


def describe(sock: socket.socket) -> str:
    """Return the address as a client names it: `unix:///path`, `http://host:port`."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix://{name}"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"
