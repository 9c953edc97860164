"""Lines of a body that arrives in any pieces."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

T = TypeVar("T")


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each line as soon as it is whole, without its end. A last one without an end is dropped."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")


_BROKEN_OFF = b'{"problem":'


def read_items(pieces: Iterable[bytes], kind: type[T]) -> Iterator[T]:
    """Yield a value for each line of JSON; empty lines are skipped. Raises the error that the stream ends with."""
    for line in split_lines(pieces):
        if line.startswith(_BROKEN_OFF):
            from vendetta.models import Problem  # most have an end

            raise msgspec.json.decode(line, type=dict[str, Problem])["problem"].to_error()
        if line:
            yield msgspec.json.decode(line, type=kind)
