"""Whoever is cancelled in the middle of writing leaves the database as it was, and free for the next."""

import asyncio
import random

import pytest
from tests.unit.store.samples import make_node

from vendetta.store import Store


@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_writer_leaves_nothing_locked_and_nothing_half_written(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    await store.nodes.add(make_node("gpu", reason="0"))

    async def write(number: int) -> None:
        async with store.transaction() as state:
            await state.nodes.update("gpu", reason=str(number))
            await state.events.append("node.written", "gpu", "test", {"number": number})

    for number in range(1, 60):
        writing = [asyncio.create_task(write(number)) for _ in range(3)]
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0 if chance.random() < 0.9 else 0.0005)
        for task in writing:
            if chance.random() < 0.6:
                task.cancel()
        await asyncio.wait_for(write(number), 3.0)
        await asyncio.gather(*writing, return_exceptions=True)
        told = (await store.events.list(limit=1000)).items
        assert (await store.nodes.get("gpu")).reason == str(told[-1].data["number"])
