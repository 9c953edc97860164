"""How often reading a node in full waits for an answer before it goes on asking: over a link that holds them back."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.ssh.by_hand import ENGINES
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.held_link import HeldLink, held_link
from tests.testbed import TestBed

from vendetta.api.services import Services
from vendetta.coordination.monitoring.event_streams import Following
from vendetta.coordination.monitoring.link_status import LinkStatus
from vendetta.coordination.monitoring.node_reader import NodeReader
from vendetta.coordination.requests import NodeRequest
from vendetta.errors import EngineUnavailable
from vendetta.models import Node

ROUNDS = 2
"""A channel has to be open before anything can be sent through it: a program on the node can't be asked in fewer."""
TRIES = 3
"""Of which one counts: who is slow is waited for in vain, and more are counted then."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set each time that all of a node was read."""
    told, read = asyncio.Event(), NodeReader.read

    async def noted(self: NodeReader, *given: Any, **more: Any) -> Node:
        node = await read(self, *given, **more)
        told.set()
        return node

    monkeypatch.setattr(NodeReader, "read", noted)
    return told


@pytest.fixture
def tell_connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Tells whoever follows the links that this node's was opened."""
    made: list[LinkStatus] = []
    make = LinkStatus.__init__

    def noted(self: LinkStatus, *given: Any) -> None:
        make(self, *given)
        made.append(self)

    def tell(name: str) -> None:
        for links in made:
            links.opened.send(name)

    monkeypatch.setattr(LinkStatus, "__init__", noted)
    return tell


async def count(link: HeldLink, read: Callable[[], Coroutine[Any, Any, object]]) -> int:
    for _ in range(TRIES):
        rounds = await link.count_rounds(read())
        if rounds <= ROUNDS:
            break
    return rounds


@pytest.mark.parametrize("name", list(ENGINES))
async def test_a_full_reading_sends_all_before_it_needs_an_answer(
    told: asyncio.Event,
    tell_connected: Callable[[str], None],
    services: Services,
    bed: TestBed,
    tmp_path: Path,
    name: str,
) -> None:
    engine = ENGINES[name]
    node = engine.node(bed)

    async def safety_probe() -> None:
        told.clear()
        tell_connected("gpu")
        await told.wait()

    try:
        async with held_link(node.address, node.port) as link:
            request = NodeRequest(name="gpu", address=f"{node.user}@127.0.0.1:{link.port}", identity=str(node.key))
            await services.node_adding.add(request, ACCEPT, actor="test")
            await engine.prepare(services, tmp_path)
            await engine.create(services)
            await services.node_links.probe("gpu")
            assert await count(link, lambda: services.node_links.probe("gpu")) == ROUNDS
            # the engines' events go on meanwhile, rather than be begun anew
            following = set(find_streams())
            assert await count(link, safety_probe) == ROUNDS
            assert following <= set(find_streams())
            assert following
    finally:
        node.kill()


def find_streams() -> Iterator["asyncio.Task[Any]"]:
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__qualname__", "") == Following._follow.__qualname__:
            yield task


async def test_a_socket_that_was_closed_is_asked_about_while_it_is_tried(
    make_sshd: MakeSshd, side: Side, tmp_path: Path
) -> None:
    sshd, path = make_sshd(), str(tmp_path / "engine.sock")

    async def use() -> None:
        with pytest.raises(EngineUnavailable, match="there is no"):
            await connection.open_unix(path)

    async with held_link("127.0.0.1", sshd.port) as link:
        connection = await side.connector().open(endpoint(sshd, port=link.port), ACCEPT)
        try:
            await use()
            assert await count(link, use) == ROUNDS
            server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
            await (await connection.open_unix(path)).close()
            assert (await connection.run(["true"])).exit_status == 0
            server.close()
        finally:
            await connection.close()
