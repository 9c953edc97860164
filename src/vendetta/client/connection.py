"""One kept-alive HTTP/1.1 connection: bytes out, one answer in. Knows nothing of what is asked.

Made of a socket and llhttp (httptools) rather than `http.client`, whose import alone costs the command line 15 ms.
"""

import select
import socket
from collections.abc import Iterable, Iterator

from httptools import HttpParserError, HttpResponseParser

from vendetta.errors import DeadlineExceeded, ServerUnavailable, UnexpectedReply

from .address import ServerAddress

_RECEIVE_BYTES = 65536


def open_socket(address: ServerAddress, timeout_seconds: float) -> socket.socket:
    """Connect a socket, with TLS for https. Raises OSError."""
    if address.is_unix:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(timeout_seconds)
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host, address.port), timeout_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # a stream may be silent for hours: this notices when the other machine went away
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if address.scheme == "https":
        import ssl  # 5 ms that a local server does not need

        return ssl.create_default_context().wrap_socket(sock, server_hostname=address.host)
    return sock


class Answer:
    """One response as far as it has arrived."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.headers_complete = False
        self.complete = False
        self.keep_alive = False
        self.pieces: list[bytes] = []
        self.parser = HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.headers_complete = True

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.complete = True
        # the parser knows it only until the message is behind it
        self.keep_alive = self.parser.should_keep_alive()


class Connection:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._answer = Answer()
        self.answered = False
        """Whether any byte of an answer arrived: if not, the server may not have received the request."""

    def ask(self, request: bytes, timeout_seconds: float | None) -> tuple[int, dict[str, str]]:
        """Send a request and return the status and headers of the answer, whose body must then be read."""
        self._answer = Answer()
        self._socket.settimeout(timeout_seconds)
        self.answered = False
        try:
            self._socket.sendall(request)
        except TimeoutError as exc:
            raise DeadlineExceeded("the server does not take the request") from exc
        except OSError as exc:
            raise ServerUnavailable("the server closed the connection") from exc
        return self._head()

    def send(self, head: bytes, pieces: Iterable[bytes], timeout_seconds: float | None) -> tuple[int, dict[str, str]]:
        """Send a request with a body in chunks (RFC 9112, 7.1). A server that refuses it answers before its end."""
        self._answer = Answer()
        self._socket.settimeout(timeout_seconds)
        try:
            self._socket.sendall(head)
            for piece in pieces:
                self._socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            self._socket.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it says why, or the reading of its answer fails
        except OSError as exc:
            raise ServerUnavailable("the server closed the connection") from exc
        return self._head()

    def _head(self) -> tuple[int, dict[str, str]]:
        while not self._answer.headers_complete:
            if not self._receive():
                raise ServerUnavailable("the server closed the connection without an answer")
            self.answered = True
        return self._answer.parser.get_status_code(), self._answer.headers

    def body(self) -> Iterator[bytes]:
        """Yield the pieces of the body as they arrive."""
        answer = self._answer
        while True:
            yield from answer.pieces
            answer.pieces.clear()
            if answer.complete:
                return
            if not self._receive():
                if "content-length" in answer.headers or "transfer-encoding" in answer.headers:
                    raise ServerUnavailable(
                        "the server closed the connection in the middle of an answer",
                        hint="It has stopped, or what it read from has ended: ask again.",
                    )
                return

    @property
    def reusable(self) -> bool:
        return self._answer.keep_alive

    @property
    def stale(self) -> bool:
        """Whether the server has closed it: it is readable only then while nothing was asked."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bool:
        """Read once; return False at the end of the stream."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
            if data:
                self._answer.parser.feed_data(data)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                f"the server did not answer within {self._socket.gettimeout():g} s",
                hint="What was asked for may still happen: look at it again before repeating it.",
            ) from exc
        except OSError as exc:
            raise ServerUnavailable("the connection to the server was lost") from exc
        except HttpParserError as exc:
            raise UnexpectedReply(
                "the server's answer is not HTTP", hint="Is --server the address of Vendetta?"
            ) from exc
        return bool(data)
