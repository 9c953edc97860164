"""The way to a port that only an instance's own loopback has: a program of the image carries the bytes, by exec."""

from contextlib import AsyncExitStack

from vendetta.errors import ConnectFailed
from vendetta.transport import Process

# Asks the kernel who listens (state 0A) before it connects, because a relay can't tell a refused connection in time.
# The first line of output says that the bytes follow. IPv6 is often off in an instance even where something listens
# on all of its addresses: ::1 is taken only for what listens there alone.
_FIND = """\
port=$1; hex=$(printf %04X "$port")
listens() {
  [ -e "$1" ] || return 1
  while read -r _ local _ state _; do
    [ "$state" = 0A ] && case $local in $2:"$hex") return 0 ;; esac
  done <"$1"
  return 1
}
if listens /proc/net/tcp6 00000000000000000000000001000000; then host=::1
elif listens /proc/net/tcp '*' || listens /proc/net/tcp6 '*'; then host=127.0.0.1
else echo closed; exit; fi
"""

_PYTHON = """\
import os, socket, sys, threading
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def feed():
    while data := os.read(0, 65536): peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=feed, daemon=True).start()
while data := peer.recv(65536):
    while data: data = data[os.write(1, data):]
"""

# python3 first: the several programs called nc differ in what they do at the end of their input.
_CONNECT = f"""\
if command -v python3 >/dev/null; then echo open; exec python3 -c '{_PYTHON}' "$host" "$port"; fi
if command -v nc >/dev/null; then echo open; exec nc "$host" "$port"; fi
echo lacking
"""


class RelayStream:
    """What the relay's process reads and writes, as a stream."""

    def __init__(self, process: Process, already_read: bytes) -> None:
        self._process = process
        self._buffer = already_read

    async def read(self, limit: int = 65536) -> bytes:
        while not self._buffer:
            piece = await self._process.read()
            if piece is None:
                return b""
            if piece.channel == "stdout":
                self._buffer = piece.data
        data, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return data

    async def write(self, data: bytes) -> None:
        await self._process.write(data)

    async def write_eof(self) -> None:
        await self._process.write_eof()

    async def close(self) -> None:
        await self._process.close()


def build_relay(port: int) -> list[str]:
    """Return the argv to run in the instance; `open_relay` understands what it writes."""
    return ["/bin/sh", "-c", _FIND + _CONNECT, "relay", str(port)]


async def open_relay(process: Process, what: str) -> RelayStream:
    """Return the stream, once the relay has opened the port. Raises `ConnectFailed`, with the process closed.

    `what` is the port for messages ("port 80 of web on node gpu").
    """
    async with AsyncExitStack() as unless_open:
        unless_open.push_async_callback(process.close)
        word, rest = await _read_answer(process)
        if word == b"open":
            unless_open.pop_all()
            return RelayStream(process, rest)
    if word == b"closed":
        raise ConnectFailed(f"nothing listens on {what}", hint="Is it started, and is this its port?")
    raise ConnectFailed(
        f"nothing that can be reached listens on {what}",
        hint="What listens on 127.0.0.1 in there needs nc or python3 in the image: or let it listen on 0.0.0.0.",
    )


async def _read_answer(process: Process) -> tuple[bytes, bytes]:
    """Return the relay's first line, and what came after it; empty where there is no shell to run it."""
    answer = b""
    while b"\n" not in answer and (piece := await process.read()) is not None:
        if piece.channel == "stdout":
            answer += piece.data
    word, _, rest = answer.partition(b"\n")
    return word, rest
