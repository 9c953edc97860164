"""The beginning of a program in a container, whichever order its two channels come in."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import permutations

import pytest

from vendetta.providers.lxc.classic.process import _read_until, drop_greeting
from vendetta.transport import Output

GREETING, SAID = Output("stdout", b"Welcome!\nvendetta\n"), Output("stdout", b"odd")
WORD, COMPLAINT = Output("stderr", b"word run 7\n"), Output("stderr", b"oh")


def reader(pieces: Sequence[Output]) -> Callable[[], Awaitable[Output | None]]:
    left = iter(pieces)

    async def read() -> Output | None:
        return next(left, None)

    return read


@pytest.mark.parametrize(
    "pieces",
    [
        order
        for order in permutations([GREETING, SAID, WORD, COMPLAINT])
        if order.index(GREETING) < order.index(SAID) and order.index(WORD) < order.index(COMPLAINT)
    ],
)
async def test_nothing_that_the_program_wrote_is_lost(pieces: Sequence[Output]) -> None:
    read = reader(pieces)
    line, rest = await _read_until(read, "word")
    seen = await drop_greeting(read, rest)
    while (piece := await read()) is not None:
        seen.append(piece)
    written = {
        channel: b"".join(one.data for one in seen if one.channel == channel) for channel in ("stdout", "stderr")
    }
    assert (line, written) == ("run 7", {"stdout": b"odd", "stderr": b"oh"})


async def test_a_program_that_ended_before_its_greeting_came_keeps_what_there_is() -> None:
    assert await drop_greeting(reader([]), [COMPLAINT]) == [COMPLAINT]
