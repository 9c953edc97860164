"""How often reading a node in full waits for an answer before it goes on asking: over a link that holds them back."""

from pathlib import Path

import pytest
from tests.integration.ssh.by_hand import ENGINES
from tests.integration.ssh.conftest import ACCEPT
from tests.integration.ssh.held_link import held_link
from tests.testbed import TestBed

from vendetta.api.services import Services
from vendetta.coordination.requests import NodeRequest

ROUNDS = 2
"""A channel has to be open before anything can be sent through it: a program on the node can't be asked in fewer."""
TRIES = 3
"""Of which one counts: who is slow is waited for in vain, and more are counted then."""


@pytest.mark.parametrize("name", list(ENGINES))
async def test_a_full_reading_sends_all_before_it_needs_an_answer(
    services: Services, bed: TestBed, tmp_path: Path, name: str
) -> None:
    engine = ENGINES[name]
    node = engine.node(bed)
    try:
        async with held_link(node.address, node.port) as link:
            request = NodeRequest(name="gpu", address=f"{node.user}@127.0.0.1:{link.port}", identity=str(node.key))
            await services.nodes.add(request, ACCEPT, actor="test")
            await engine.prepare(services, tmp_path)
            await engine.create(services)
            await services.nodes.probe("gpu")
            for left in reversed(range(TRIES)):
                rounds = await link.count_rounds(services.nodes.probe("gpu"))
                if rounds == ROUNDS:
                    break
                assert left, f"{rounds} rounds"
    finally:
        node.kill()
