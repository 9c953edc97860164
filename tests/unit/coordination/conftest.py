"""A world, and its engines, which outlive it: opened again on the same folder it is the next process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.doubles.memory import MemoryEngines
from tests.unit.coordination.world import World, open_world


@pytest.fixture
async def memory() -> AsyncIterator[MemoryEngines]:
    memory = MemoryEngines()
    yield memory
    await memory.close()


@pytest.fixture
async def world(tmp_path: Path, memory: MemoryEngines) -> AsyncIterator[World]:
    """Without nodes: what is in it a test's module adds."""
    async with open_world(tmp_path, memory) as world:
        yield world
