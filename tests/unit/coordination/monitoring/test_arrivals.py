"""Whoever watches a node hears of the workspaces that come to it, also of those of which the news was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.unit.store.samples import make_workspace

from vendetta.coordination.monitoring.arrivals import TOPIC, Arrivals, tell_arrival
from vendetta.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


async def test_it_is_told_with_the_record_and_not_without(store: Store) -> None:
    heard: list[tuple[str, str]] = []
    async with Arrivals(store, lambda node, kind: heard.append((node, kind))):
        with suppress(RuntimeError):
            async with store.transaction() as state:
                await tell_arrival(state, await state.workspaces.add(make_workspace("lost", node="gpu")))
                raise RuntimeError("there is no record after all")
        assert heard == []
        async with store.transaction() as state:
            await tell_arrival(state, await state.workspaces.add(make_workspace("web", node="gpu")))
        assert heard == [("gpu", "docker")]


async def test_what_may_have_been_missed_is_looked_up(store: Store) -> None:
    for name, node, provider in (("a", "one", "lxc"), ("b", "one", "lxc"), ("c", "two", "qemu")):
        await store.workspaces.add(make_workspace(name, node=node, provider=provider))
    heard: set[tuple[str, str]] = set()
    complete = asyncio.Event()

    def hear(node: str, kind: str) -> None:
        heard.add((node, kind))
        if len(heard) == 2:
            complete.set()

    async with Arrivals(store, hear), asyncio.timeout(30):
        store.news._deliver(TOPIC, None)
        await complete.wait()
    assert heard == {("one", "lxc"), ("two", "qemu")}
