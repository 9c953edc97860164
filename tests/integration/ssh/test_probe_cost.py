"""What reading a node in full asks of it: counted on the wire of a real link, so that it doesn't grow unnoticed."""

from collections import Counter
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_OPEN, MSG_GLOBAL_REQUEST
from tests.integration.ssh.by_hand import ENGINES
from tests.integration.ssh.conftest import add
from tests.testbed import TestBed

from vendetta.api.services import Services

MOST = {"docker": 3, "incus": 4, "lxc": 5, "qemu": 6}
"""Channels, with a node that has one of them.

Three are always there: what the machine is, what there is of LXC, what there is of QEMU; a fourth is what there is of
Docker, which answers on connections that are kept. QEMU's list asks each VM that runs.
"""

TRIES = 5
"""Of which one counts: what an event still tells of the workspace that was just made is looked at meanwhile."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """What was sent that a node answers, by its kind."""
    asked: Counter[int] = Counter()
    send = asyncssh.SSHClientConnection.send_packet

    def counted(self: asyncssh.SSHClientConnection, kind: int, *parts: bytes, **how: Any) -> None:
        asked[kind] += 1
        send(self, kind, *parts, **how)

    monkeypatch.setattr(asyncssh.SSHClientConnection, "send_packet", counted)
    return asked


@pytest.mark.parametrize("name", list(ENGINES))
async def test_a_full_reading_asks_a_node_little(
    asked: Counter[int], services: Services, bed: TestBed, tmp_path: Path, name: str
) -> None:
    engine = ENGINES[name]
    node = engine.node(bed)
    try:
        await add(services, node, "gpu")
        await engine.prepare(services, tmp_path)
        await engine.create(services)
        await services.node_links.probe("gpu")
        for _ in range(TRIES):
            asked.clear()
            await services.node_links.probe("gpu")
            if asked[MSG_CHANNEL_OPEN] <= MOST[name]:
                break
        assert 0 < asked[MSG_CHANNEL_OPEN] <= MOST[name]
        assert asked[MSG_GLOBAL_REQUEST] == 1
    finally:
        node.kill()
