from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from vendetta.coordination.monitoring import last_output as last_words
from vendetta.coordination.monitoring.last_output import LINES, MOST_BYTES, parse_last_lines, read_last_lines
from vendetta.errors import EngineUnavailable
from vendetta.providers.base import Provider
from vendetta.transport import Output


class Talker:
    """Writes `pieces`, and then fails where there is an `error`."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error

    async def logs(self, name: str, **how: Any) -> AsyncIterator[Output]:
        for piece in self.pieces:
            yield Output("stdout", piece)
        if self.error:
            raise self.error


async def read(talker: object) -> list[str]:
    return await read_last_lines(cast("Provider", talker), "web")


async def test_the_last_lines_in_their_order() -> None:
    assert await read(Talker(b"".join(b"%d\n" % number for number in range(50)))) == [str(n) for n in range(40, 50)]


async def test_what_came_before_a_failure_is_kept() -> None:
    assert await read(Talker(b"one\nt", b"wo\n", error=EngineUnavailable("gone"))) == ["one", "two"]


async def test_none_of_what_keeps_no_logs() -> None:
    assert await read(object()) == []


async def test_one_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_words, "SECONDS", 0.05)

    class Endless(Talker):
        async def logs(self, name: str, **how: Any) -> AsyncIterator[Output]:
            yield Output("stdout", b"so far\n")
            import asyncio

            await asyncio.get_running_loop().create_future()

    assert await read(Endless()) == ["so far"]


def test_it_is_bounded_in_bytes() -> None:
    lines = parse_last_lines(b"x" * 10 * MOST_BYTES + b"\n" + b"y" * 100 + b"\n")
    assert lines == ["y" * 100]
    (line,) = parse_last_lines(b"z" * 10 * MOST_BYTES)
    assert len(line) == MOST_BYTES
    assert len(parse_last_lines(b"a\n" * 1000)) == LINES


def test_it_can_be_shown_on_any_terminal() -> None:
    said = b"\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07two\x08\x00\n\n\xff\n\ttab\n"
    assert parse_last_lines(said) == ["red", "two", "\ufffd", "\ttab"]
