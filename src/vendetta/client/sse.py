"""Server-sent events, parsed (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .lines import split_lines


class Message(NamedTuple):
    data: bytes
    id: str | None


def parse_sse(pieces: Iterable[bytes]) -> Iterator[Message]:
    """Yield the messages of a body that arrives in any pieces. An incomplete last one is dropped (the standard)."""
    last_id: str | None = None
    data: list[bytes] = []
    for line in split_lines(pieces):
        if not line:
            if data:
                yield Message(b"\n".join(data), last_id)
            data = []
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"id":
            last_id = value.decode()
