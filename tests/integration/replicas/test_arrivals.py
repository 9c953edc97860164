"""The first workspace of a node that takes a session to be watched, made at a server that doesn't watch the node."""

import time
from pathlib import Path

from tests.integration.replicas.servers import Server, wait_for_events
from tests.integration.ssh.by_hand import ENGINES
from tests.testbed import TestBed

PROMPT_SECONDS = 10.0
"""What is promised is 2 s; a test that shares the machine with others has more patience. Everything is read later."""


def test_it_is_watched_from_its_beginning(servers: tuple[Server, Server], bed: TestBed, tmp_path: Path) -> None:
    engine = ENGINES["lxc"]
    node = engine.node(bed)
    try:
        servers[0].vendetta.add_node("gpu", node)
        held = servers[0].held()
        (elsewhere,) = [server for server in servers if not held[server.id]]
        ((name, file),) = engine.files(tmp_path).items()
        elsewhere.vendetta("image", "push", "gpu", name, str(file), "--provider", "lxc")
        where = ("--provider", "lxc", "--node", "gpu")
        elsewhere.vendetta("workspace", "create", "web", *where, "--image", name)
        since = max(event.sequence for event in elsewhere.events(0))
        engine.run(node, engine.stop)
        began = time.monotonic()
        wait_for_events(elsewhere, since, {("workspace.stopped", "web")})
        print(f"told after {time.monotonic() - began:.3f} s")
        assert time.monotonic() - began < PROMPT_SECONDS
    finally:
        node.kill()
