"""A cable that is cut, on a real link: offline `node_timeout` after that, whenever sshd was asked last."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import add

from vendetta.api.composition import running_services
from vendetta.paths import Paths
from vendetta.settings import ServerConfig

EARLY, LATE = 2.0, 5.0
"""What is promised is 2 s; a test that shares the machine with others has more patience, but none for too early."""


@pytest.mark.parametrize(("timeout", "keepalive"), [(9.0, 3.0), pytest.param(18.0, 6.0, marks=pytest.mark.thorough)])
async def test_it_is_offline_in_time_though_it_had_long_not_been_asked(
    make_node: NodeFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timeout: float, keepalive: float
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    paths = Paths(config_dir=tmp_path, state_dir=tmp_path, runtime_dir=tmp_path)
    settings = {"node_timeout": timeout, "keepalive_interval": keepalive}
    config = ServerConfig(state_file=str(tmp_path / "state.db"), **settings)
    node = make_node()
    async with running_services(paths, config) as services:
        await add(services, node, "gpu")
        connection = services.images._engines._pool.connection("gpu")
        assert connection
        told = services.events.watch()
        loop = asyncio.get_running_loop()
        # the moment before the next question: what came last is almost an interval old
        while (wait := connection._connection._keepalive_timer.when() - loop.time() - 0.5) > 0:  # type: ignore[union-attr]
            await asyncio.sleep(wait)
        await asyncio.to_thread(node.cut)
        cut = time.monotonic()
        async with asyncio.timeout(timeout + keepalive + 60):
            offline = await anext(event async for event in told if event.kind == "node.offline")
        took = time.monotonic() - cut
        print(f"offline {took:.2f} s after the cut, node_timeout {timeout:g} s")
        assert timeout - EARLY <= took <= timeout + LATE, offline.data
