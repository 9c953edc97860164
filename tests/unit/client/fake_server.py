"""A server that answers with what a test tells it, over HTTP on a unix socket, and keeps what it was asked."""

import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from vendetta.errors import VendettaError
from vendetta.models import Problem


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """`pieces`, where given, are streamed as chunks; `cut` drops the connection after them."""

    status: int = 200
    body: object = None
    type: str = "application/json"
    pieces: list[bytes] | None = None
    cut: bool = False
    keep: bool = True


Route = Reply | VendettaError | Callable[[Request], Any] | list[Any]


@dataclass
class FakeServer:
    """`routes` maps `GET /nodes` to a body, a `Reply`, an error, or a function of the request that gives one."""

    url: str
    routes: dict[str, Any] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def asked(self, route: str) -> list[Request]:
        method, _, path = route.partition(" ")
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def answer(self, request: Request) -> Reply:
        route = self.routes.get(f"{request.method} {request.path}")
        if callable(route):
            route = route(request)
        if route is None:
            route = Reply(404, {"detail": "Not Found"})
        if isinstance(route, VendettaError):
            return Reply(409, Problem.from_error(route, status=409), "application/problem+json")
        return route if isinstance(route, Reply) else Reply(body=route)


def items(*found: object) -> Reply:
    """One page of a list."""
    return Reply(body={"items": list(found), "next_cursor": None})


def sse(*messages: object, cut: bool = False) -> Reply:
    pieces = [b"data: " + msgspec.json.encode(message) + b"\n\n" for message in messages]
    return Reply(type="text/event-stream", pieces=pieces, cut=cut)


@contextmanager
def serve(socket: Path | None) -> Iterator[FakeServer]:
    """Without a socket: on a free port of 127.0.0.1."""
    fake = FakeServer("")

    listener: type[socketserver.BaseServer] = socketserver.UnixStreamServer if socket else socketserver.TCPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            fake.connections += 1

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            content = self.read_body()
            request = Request(
                self.command,
                parts.path.removeprefix("/api/v1"),
                parse_qs(parts.query),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(content) if self.headers.get("Content-Type") == "application/json" else content or None,
            )
            fake.requests.append(request)
            self.write(fake.answer(request))

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def write(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.type)
            if reply.pieces is None:
                content = b"" if reply.status == 204 else msgspec.json.encode(reply.body)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in reply.pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                if not reply.cut:
                    self.wfile.write(b"0\r\n\r\n")
            self.close_connection = reply.cut or not reply.keep

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None: ...

    class Server(socketserver.ThreadingMixIn, listener):  # type: ignore[misc, valid-type]
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # that is a client that has seen enough
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    with Server(("127.0.0.1", 0) if socket is None else str(socket), Handler) as server:
        fake.url = f"unix://{socket}" if socket else f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
