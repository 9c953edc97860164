"""Each method sends what the server's API asks for."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.client.fake_server import FakeServer, Reply, items
from tests.unit.client.samples import (
    DRAINED,
    FINGERPRINT,
    KEY,
    NODE,
    OPERATION,
    PATH_STAT,
    REPORT,
    SNAPSHOT,
    SOCKET,
    TOKEN,
    WORKSPACE,
)

from vendetta.client import Client
from vendetta.errors import PathNotFound
from vendetta.models import ExecutionResult, Stats, TokenCreated

RESULT = ExecutionResult(success=True, output="ok")
STATS = Stats(
    cpu_fraction=0.1,
    cpu_seconds=1.0,
    memory_bytes=1,
    memory_limit_bytes=None,
    pids=1,
    network_received_bytes=0,
    network_sent_bytes=0,
)
CREATED = TokenCreated(token=TOKEN, secret="s3cret")

CALLS: list[tuple[str, object, Callable[[Client], object], Any]] = [
    ("PATCH /nodes/gpu", NODE, lambda c: c.nodes.edit("gpu", {"port": 22}), {"port": 22}),
    ("POST /nodes/gpu/connect", NODE, lambda c: c.nodes.connect("gpu"), {"login": {}}),
    ("POST /nodes/gpu/disconnect", NODE, lambda c: c.nodes.disconnect("gpu"), None),
    ("POST /nodes/gpu/cordon", NODE, lambda c: c.nodes.cordon("gpu"), None),
    ("POST /nodes/gpu/uncordon", NODE, lambda c: c.nodes.uncordon("gpu"), None),
    ("POST /nodes/gpu/probe", NODE, lambda c: c.nodes.probe("gpu"), None),
    ("GET /nodes/gpu/doctor", REPORT, lambda c: c.nodes.doctor("gpu"), None),
    ("POST /nodes/gpu/socket", SOCKET, lambda c: c.nodes.socket("gpu", "docker"), None),
    ("POST /nodes/gpu/trust", NODE, lambda c: c.nodes.trust("gpu", FINGERPRINT), {"host_key": FINGERPRINT}),
    ("POST /nodes/gpu/install-key", KEY, lambda c: c.nodes.install_key("gpu"), {"login": {}, "public_key": None}),
    (
        "POST /nodes/gpu/install-key",
        KEY,
        lambda c: c.nodes.install_key("gpu", restrict=True, sources=["10.0.0.0/8"]),
        {"login": {}, "public_key": None, "restrict": True, "sources": ["10.0.0.0/8"]},
    ),
    ("POST /nodes/gpu/execute", RESULT, lambda c: c.nodes.execute("gpu", {"action": "list"}), {"action": "list"}),
    ("POST /nodes/gpu/execute", OPERATION, lambda c: c.nodes.submit("gpu", {"action": "list"}), {"action": "list"}),
    ("POST /workspaces", OPERATION, lambda c: c.workspaces.create({"name": "web"}), {"name": "web"}),
    ("POST /workspaces/web/stop", OPERATION, lambda c: c.workspaces.stop("web"), None),
    (
        "POST /workspaces/web/restart",
        OPERATION,
        lambda c: c.workspaces.restart("web", timeout_seconds=3),
        {"timeout_seconds": 3},
    ),
    ("GET /workspaces/web", WORKSPACE, lambda c: c.workspaces.get("web"), None),
    (
        "POST /workspaces/web/move",
        OPERATION,
        lambda c: c.workspaces.move("web", node="spare", timeout_seconds=3),
        {"node": "spare", "placement": {}, "timeout_seconds": 3},
    ),
    ("POST /nodes/gpu/drain", OPERATION, lambda c: c.nodes.drain("gpu", {"move": True}), {"move": True}),
    ("POST /nodes/gpu/drain/plan", DRAINED, lambda c: c.nodes.plan_drain("gpu"), {}),
    ("POST /nodes/gpu/undrain", OPERATION, lambda c: c.nodes.undrain("gpu"), None),
    ("GET /workspaces/web/stats", STATS, lambda c: c.workspaces.stats("web"), None),
    ("POST /workspaces/web/pause", OPERATION, lambda c: c.workspaces.pause("web"), None),
    ("POST /workspaces/web/resume", OPERATION, lambda c: c.workspaces.resume("web"), None),
    ("POST /workspaces/web/snapshots", OPERATION, lambda c: c.snapshots.create("web", "before"), {"name": "before"}),
    ("POST /workspaces/web/snapshots/before/restore", OPERATION, lambda c: c.snapshots.restore("web", "before"), None),
    ("DELETE /workspaces/web/snapshots/before", OPERATION, lambda c: c.snapshots.remove("web", "before"), None),
    ("GET /workspaces/web/path", PATH_STAT, lambda c: c.files.stat("web", "/srv"), None),
    ("GET /operations/op1", OPERATION, lambda c: c.operations.get("op1"), None),
    ("POST /operations/op1/cancel", OPERATION, lambda c: c.operations.cancel("op1"), None),
    ("POST /keys", KEY, lambda c: c.keys.generate(), {"type": "ed25519"}),
    ("POST /keys/rotate", OPERATION, lambda c: c.keys.rotate(["gpu"]), {"nodes": ["gpu"], "type": None}),
    ("POST /tokens", CREATED, lambda c: c.tokens.create("ci", "admin"), {"name": "ci", "role": "admin"}),
]


@pytest.mark.parametrize(("route", "answer", "call", "body"), CALLS, ids=[route for route, *_ in CALLS])
def test_calls(
    fake: FakeServer, client: Client, route: str, answer: object, call: Callable[[Client], object], body: Any
) -> None:
    fake.routes[route] = answer
    assert call(client) == answer
    assert fake.requests[0].body == body


def test_what_answers_nothing(fake: FakeServer, client: Client) -> None:
    fake.routes |= {path: Reply(204) for path in ("DELETE /nodes/gpu", "DELETE /nodes/gpu/socket", "DELETE /tokens/t1")}
    client.nodes.remove("gpu", force=True)
    client.nodes.close_socket("gpu")
    client.tokens.revoke("t1")
    assert fake.requests[0].query == {"force": ["true"]}


def test_lists(fake: FakeServer, client: Client) -> None:
    fake.routes |= {"GET /keys": items(KEY), "GET /tokens": items(TOKEN), "GET /operations": items(OPERATION)}
    fake.routes["POST /keys/unlock"] = items(KEY)
    assert client.keys.unlock("open sesame", "/k") == [KEY]
    assert fake.requests[-1].body == {"passphrase": "open sesame", "path": "/k"}
    assert (client.keys.list(), client.tokens.list()) == ([KEY], [TOKEN])
    assert client.operations.list(state="running", target="web") == [OPERATION]
    assert fake.requests[-1].query == {"state": ["running"], "target": ["web"]}
    fake.routes["GET /workspaces/web/snapshots"] = items(SNAPSHOT)
    assert client.snapshots.list("web") == [SNAPSHOT]


def test_archives(fake: FakeServer, client: Client) -> None:
    fake.routes |= {
        "PUT /workspaces/web/files": Reply(204),
        "GET /workspaces/web/files": Reply(pieces=[b"one", b"two"], type="application/x-tar"),
        "GET /workspaces/web/path": PathNotFound("there is nothing at /x"),
    }
    client.files.put("web", "/srv", iter([b"a" * 70_000, b"b"]))
    put = fake.requests[-1]
    assert (put.body, put.query, "content-length" in put.headers) == (b"a" * 70_000 + b"b", {"path": ["/srv"]}, False)
    with client.files.get("web", "/srv") as pieces:
        assert b"".join(pieces) == b"onetwo"
    assert client.files.stat("web", "/x") is None
    fake.routes["PUT /workspaces/web/files"] = PathNotFound("there is nothing at /srv")
    with pytest.raises(PathNotFound, match="nothing at /srv"):
        client.files.put("web", "/srv", [b"x"])
