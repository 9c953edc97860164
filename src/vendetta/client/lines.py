"""Lines of a body that arrives in any pieces."""

from collections.abc import Iterable, Iterator


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each as soon as it is whole, without its end. What the body breaks off in the middle of is dropped."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
