"""An engine that stops and starts again under the server's eyes: told at once, and without being asked."""

import asyncio

from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import add

from vendetta.api.services import Services


async def test_an_engine_that_stops_and_starts_again_is_told_both_times(
    services: Services, make_node: NodeFactory
) -> None:
    node = make_node(docker=True)
    await add(services, node, "gpu")
    told = services.events.watch()

    async def next_state() -> str:
        async with asyncio.timeout(60):
            return await anext(event.kind async for event in told if event.kind.startswith("engine."))

    await asyncio.to_thread(node.stop_engine, "docker")
    assert await next_state() == "engine.undetected"
    await asyncio.to_thread(node.start_engine, "docker")
    assert await next_state() == "engine.healthy"
    assert (await services.nodes.get("gpu")).providers["docker"].state == "healthy"
