"""HTTP on a channel: what a node's sshd joins to its engine when somebody opens the engine's socket."""

from typing import TYPE_CHECKING

import asyncssh
import httptools

from .engine import Engine, split_version

if TYPE_CHECKING:
    from asyncssh.channel import SSHUNIXChannel

REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 404: "Not Found", 409: "Conflict"}


class Exchange(asyncssh.SSHUNIXSession[bytes]):
    """One connection to the engine, kept alive for as long as the other side likes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parser = httptools.HttpRequestParser(self)
        self._target = bytearray()
        self._body = bytearray()

    def connection_made(self, chan: "SSHUNIXChannel[bytes]") -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._parser.feed_data(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._engine.watchers.discard(self._push)

    # what the parser calls

    def on_message_begin(self) -> None:
        self._target.clear()
        self._body.clear()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method, target = self._parser.get_method().decode(), self._target.decode()
        if split_version(target.partition("?")[0])[1] == "/events":
            self._channel.write(build_head(200, "Transfer-Encoding: chunked"))
            self._engine.watchers.add(self._push)
            return
        status, body = self._engine.answer(method, target, bytes(self._body))
        head = build_head(status, *([f"Content-Length: {len(body)}"] if status not in {204, 304} else []))
        self._channel.write(head + (b"" if method == "HEAD" else body))

    def _push(self, line: bytes) -> None:
        self._channel.write(b"%x\r\n%s\r\n" % (len(line), line))


def build_head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()
