"""A program's output is told from what comes before it, in whatever order its two streams arrive."""

from collections.abc import Sequence

import pytest

from vendetta.providers.lxc.classic.host import GREETING
from vendetta.providers.lxc.classic.process import read_until, skip_greeting
from vendetta.transport import Output

SAYS_SO = Output("stderr", b"motd\nword run 12\nerr")
STARTS = Output("stdout", b"login's own words\n" + GREETING + b"out")
MORE = Output("stdout", b" and more")


class Pieces:
    def __init__(self, pieces: Sequence[Output]) -> None:
        self.left = list(pieces)

    async def read(self) -> Output | None:
        return self.left.pop(0) if self.left else None


@pytest.mark.parametrize(
    "pieces",
    [[SAYS_SO, STARTS, MORE], [STARTS, SAYS_SO, MORE], [STARTS, MORE, SAYS_SO]],
    ids=["stderr first", "stdout first", "all of stdout first"],
)
async def test_nothing_of_it_is_lost(pieces: list[Output]) -> None:
    source = Pieces(pieces)
    said, rest, before = await read_until(source.read, "word")
    rest = await skip_greeting(source.read, before, rest)
    rest += source.left
    assert said == "run 12"
    assert b"".join(piece.data for piece in rest if piece.channel == "stdout") == b"out and more"
    assert b"".join(piece.data for piece in rest if piece.channel == "stderr") == b"err"


async def test_one_that_ends_before_it_has_begun_has_no_output() -> None:
    assert await skip_greeting(Pieces([]).read, b"login's own words\n", []) == []


async def test_much_output_that_comes_before_the_line_on_stderr_is_kept_whole() -> None:
    much = [Output("stdout", bytes([number]) * 32768) for number in range(8)]
    source = Pieces([Output("stdout", GREETING), *much, SAYS_SO])
    said, rest, before = await read_until(source.read, "word")
    rest = await skip_greeting(source.read, before, rest)
    assert said == "run 12"
    assert b"".join(piece.data for piece in rest if piece.channel == "stdout") == b"".join(one.data for one in much)
