"""Requests to the server: addressed, authorised, encoded, sent again where that is safe, decoded into the models."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from vendetta import __version__
from vendetta.errors import ServerUnavailable, UnexpectedReply, VendettaError

from .address import ServerAddress
from .connection import Connection, open_socket

if TYPE_CHECKING:
    from vendetta.models import Operation

T = TypeVar("T")

API = "/api/v1"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 300.0
"""The longest that one plain answer may take: adding a node logs in and probes before it answers."""


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    next_cursor: str | None = None


class Http:
    """Connections are kept and used again; each serves one caller at a time, so threads may share this object.

    `start` is called where nothing listens at a local socket; it returns once a server does. `prepare` is called once,
    before the first connection.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        token: str | None = None,
        start: Callable[[], None] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.address = address
        self.token = token
        self._start = start
        self._prepare = prepare
        self._idle: list[Connection] = []

    def fetch(
        self,
        type_: type[T],
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        key: str | None = None,
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> T:
        """Send one request and return the answer as a `type_`. Raises the server's error, of its own class.

        `key` is the idempotency key where the server honours one for this request, which makes it safe to repeat.
        """
        request = self._request(method, path, query, body, key)
        connection, status, headers = self._ask(request, method == "GET" or key is not None, timeout_seconds)
        content = self._drain(connection)
        if status >= 400:
            raise problem_error(status, headers, content)
        if not content:
            content = b"null"
        return decode_answer(content, type_, f"{method} {path}")

    def change(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        content: Iterable[bytes] | None = None,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> "Operation":
        """Ask for a change that is an operation; without `key` under a new one, so that it can be sent again.

        `content`, in place of `body`, is sent as `send` does: once, without a limit of time.
        """
        from vendetta.models import Operation

        query = {**(query or {}), "deadline": deadline_seconds}
        if content is not None:
            answer = self.send(method, path, content, query=query, key=key)
            return decode_answer(answer, Operation, f"{method} {path}")
        return self.fetch(Operation, method, path, query=query, body=body, key=key or new_key())

    def items(self, type_: type[T], path: str, query: Mapping[str, object] | None = None) -> list[T]:
        """Return a whole list, fetched page by page."""
        found: list[T] = []
        cursor: str | None = None
        while True:
            page = self.fetch(Page[type_], "GET", path, query={**(query or {}), "cursor": cursor})  # type: ignore[valid-type]
            found.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return found

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        query: Mapping[str, object] | None = None,
        body: object = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """Stream the body of the answer, without a limit of time. `key` as in `fetch`."""
        request = self._request(method, path, query, body, key, headers)
        connection, status, answered = self._ask(request, method == "GET" or key is not None, None)
        try:
            if status >= 400:
                raise problem_error(status, answered, b"".join(connection.body()))
            yield connection.body()
        finally:
            connection.close()

    def send(
        self, method: str, path: str, pieces: Iterable[bytes], *, query: Mapping[str, object], key: str | None = None
    ) -> bytes:
        """Send a body of unknown length as it is made, and return the body of the answer. Never repeated."""
        with self.exchange(method, path, pieces, query=query, key=key) as answer:
            return b"".join(answer)

    @contextmanager
    def exchange(
        self, method: str, path: str, pieces: Iterable[bytes], *, query: Mapping[str, object], key: str | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Send a body as `send` does, and stream the body of the answer, without a limit of time."""
        request = self._head(method, path, query, key, {"Transfer-Encoding": "chunked"})
        connection = self._connect()
        try:
            status, headers = connection.send(request, pieces, None)
            if status >= 400:
                raise problem_error(status, headers, b"".join(connection.body()))
            yield connection.body()
        finally:
            connection.close()

    def open(self) -> None:
        """Make sure that a server is there. Raises `ServerUnavailable`."""
        self._idle.append(self._connect())

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _ask(
        self, request: bytes, repeatable: bool, timeout_seconds: float | None
    ) -> tuple[Connection, int, dict[str, str]]:
        while True:
            kept = self._take()
            connection = kept or self._connect()
            try:
                return (connection, *connection.ask(request, timeout_seconds))
            except ServerUnavailable as exc:
                connection.close()
                # a server may close a kept connection just as the next request goes out
                if kept is None or connection.answered or not repeatable:
                    exc.hint = exc.hint or f"Is the server at {self.address} still running?"
                    raise
            except BaseException:
                connection.close()
                raise

    def _drain(self, connection: Connection) -> bytes:
        try:
            content = b"".join(connection.body())
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return content

    def _take(self) -> Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not connection.stale:
                return connection
            connection.close()

    def _connect(self) -> Connection:
        if self._prepare is not None:
            prepare, self._prepare = self._prepare, None
            prepare()
        try:
            try:
                return Connection(open_socket(self.address, CONNECT_SECONDS))
            except (FileNotFoundError, ConnectionRefusedError):
                if self._start is None:
                    raise
                self._start()
                return Connection(open_socket(self.address, CONNECT_SECONDS))
        except OSError as exc:
            raise unavailable(self.address, exc) from exc

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: object,
        key: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        content = b"" if body is None else msgspec.json.encode(body)
        length = {"Content-Length": str(len(content))} if method != "GET" else {}
        kind = {"Content-Type": "application/json"} if body is not None else {}
        return self._head(method, path, query, key, {**(headers or {}), **kind, **length}) + content

    def _head(
        self, method: str, path: str, query: Mapping[str, object] | None, key: str | None, headers: Mapping[str, str]
    ) -> bytes:
        lines = [
            f"{method} {API}{path}{build_query(query or {})} HTTP/1.1",
            f"Host: {self.address.authority}",
            f"User-Agent: vendetta/{__version__}",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if method != "GET":
            lines.append(f"Idempotency-Key: {key or new_key()}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def new_key() -> str:
    """Return a new idempotency key."""
    return os.urandom(16).hex()


def build_path(*parts: str) -> str:
    """Return a path such as `/nodes/gpu/connect` of its parts, each quoted."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def build_query(values: Mapping[str, object]) -> str:
    """Return a query string: None is left out, a list repeats its key, booleans are `true` and `false`."""
    pairs = [
        (name, str(each).lower() if isinstance(each, bool) else each)
        for name, value in values.items()
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    ]
    return f"?{urlencode(pairs)}" if pairs else ""


def build_labels(labels: Mapping[str, str] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (labels or {}).items()]


def decode_answer(content: bytes, type_: type[T], request: str) -> T:
    """Read an answer to `request`, such as "GET /nodes". Raises `UnexpectedReply` where it isn't a `type_`."""
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.DecodeError as exc:
        raise UnexpectedReply(
            f"the server's answer to {request} is not what this client expects ({exc})",
            hint="Are the client and the server of one version? Look at: vendetta version",
        ) from exc


def problem_error(status: int, headers: Mapping[str, str], content: bytes) -> VendettaError:
    """Return the error that an answer of 400 and above was made from."""
    if headers.get("content-type", "").startswith("application/problem+json"):
        from vendetta.models import Problem  # most answers are none

        try:
            return msgspec.json.decode(content, type=Problem).to_error()
        except msgspec.DecodeError:
            pass  # raised below, as any other answer of unknown form
    shown = " ".join(content[:200].decode(errors="replace").split())
    return UnexpectedReply(f"the server answered {status}: {shown or 'nothing'}", status=status)


def unavailable(address: ServerAddress, cause: OSError) -> ServerUnavailable:
    reason = cause.strerror or str(cause)
    hint = "Start it with: vendetta server start" if address.is_unix else "Is it running, and is --server right?"
    return ServerUnavailable(f"no server answers at {address} ({reason})", hint=hint, server=str(address))
