"""An HTTP server between the nodes and the registry that can hold answers back until a test lets them go."""

import shutil
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .images import UnixHTTPConnection

ASKED_WITH = ("Accept", "Authorization", "Range")
PASSED_ON = (
    "Content-Type",
    "Content-Length",
    "Docker-Content-Digest",
    "WWW-Authenticate",
    "Docker-Distribution-Api-Version",
)


class Gate:
    """Passes GET and HEAD on to the server at a unix socket, from a thread of its own."""

    def __init__(self, host: str, upstream: Path) -> None:
        self.upstream = upstream
        self._change = threading.Condition()
        self._held: set[str] = set()
        self._waiting = 0
        self._server = _Server((host, 0), _Handler)
        self._server.gate = self
        self.address = f"{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="gate", daemon=True)
        self._thread.start()

    def hold(self, repository: str) -> None:
        """Its blobs wait from now on."""
        with self._change:
            self._held.add(repository)

    def release(self) -> None:
        with self._change:
            self._held.clear()
            self._change.notify_all()

    def wait_for_held_request(self, timeout_seconds: float) -> None:
        """Raises `TimeoutError`."""
        with self._change:
            if not self._change.wait_for(lambda: self._waiting > 0, timeout_seconds):
                raise TimeoutError("nobody asked for a held blob")

    def pass_through(self, path: str) -> None:
        """Returns when a request for `path` may go on."""
        repository, _, blob = path.removeprefix("/v2/").partition("/blobs/")
        with self._change:
            if blob and repository in self._held:
                self._waiting += 1
                self._change.notify_all()
                self._change.wait_for(lambda: repository not in self._held)
                self._waiting -= 1

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gate: Gate

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that hung up, as callers in tests do: not worth a traceback on standard error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.gate.pass_through(self.path)
        # Engines send one Accept line for each kind of manifest: all of them count.
        headers = {name: ", ".join(self.headers.get_all(name, [])) for name in ASKED_WITH if name in self.headers}
        upstream = UnixHTTPConnection(self.server.gate.upstream)
        try:
            upstream.request(self.command, self.path, headers=headers)
            response = upstream.getresponse()
            self.send_response(HTTPStatus(response.status))
            for name in PASSED_ON:
                if value := response.headers.get(name):
                    self.send_header(name, value)
            self.end_headers()
            shutil.copyfileobj(response, self.wfile)
        finally:
            upstream.close()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """The registry has a log of its own."""
