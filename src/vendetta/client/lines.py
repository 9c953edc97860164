"""Lines of a body that arrives in any pieces."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

T = TypeVar("T")


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each as soon as it is whole, without its end. What the body breaks off in the middle of is dropped."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")


_BROKEN_OFF = b'{"problem":'


def read_items(pieces: Iterable[bytes], kind: type[T]) -> Iterator[T]:
    """A value for each line of JSON. An empty one says that it goes on; why it breaks off is raised."""
    for line in split_lines(pieces):
        if line.startswith(_BROKEN_OFF):
            from vendetta.models import Problem  # most have an end

            raise msgspec.json.decode(line, type=dict[str, Problem])["problem"].to_error()
        if line:
            yield msgspec.json.decode(line, type=kind)
