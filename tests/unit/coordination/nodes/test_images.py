"""How long a build may take."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from vendetta.coordination.nodes.images import until_deadline
from vendetta.errors import DeadlineExceeded


async def test_what_is_said_is_passed_on_to_its_end() -> None:
    async def say() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    assert [piece async for piece in until_deadline(None, say())] == ["one", "two"]


async def test_a_build_ends_by_its_deadline() -> None:
    ended = asyncio.Event()

    async def say() -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            ended.set()

    pieces = until_deadline(asyncio.get_running_loop().time(), say())
    assert await anext(pieces) == "one"
    with pytest.raises(DeadlineExceeded):
        await anext(pieces)
    assert ended.is_set()


async def test_another_timeout_is_not_taken_for_the_deadline() -> None:
    async def say() -> AsyncIterator[str]:
        raise TimeoutError
        yield ""

    with pytest.raises(TimeoutError):
        await anext(until_deadline(asyncio.get_running_loop().time() + 3600, say()))
