"""workspace snapshot, pause and resume."""

import json

import msgspec
import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, items, sse
from tests.unit.client.samples import OPERATION, SNAPSHOT, operation

from vendetta.errors import SnapshotNotFound

SNAPSHOTS = "/workspaces/web/snapshots"


@pytest.fixture
def kept(fake: FakeServer) -> FakeServer:
    fake.routes |= {
        f"GET {SNAPSHOTS}": items(SNAPSHOT),
        f"POST {SNAPSHOTS}": Reply(202, OPERATION),
        f"POST {SNAPSHOTS}/before/restore": Reply(202, OPERATION),
        f"DELETE {SNAPSHOTS}/before": Reply(202, OPERATION),
        "GET /operations/op1/watch": sse(OPERATION, operation("succeeded", result=msgspec.to_builtins(SNAPSHOT))),
    }
    return fake


def test_create_and_list(kept: FakeServer, cli: Cli) -> None:
    made = cli("workspace", "snapshot", "create", "web", "before")
    assert (made.status, made.out) == (0, "snapshot before of web created\n")
    assert kept.asked(f"POST {SNAPSHOTS}")[0].body == {"name": "before"}
    assert json.loads(cli("ws", "snapshot", "create", "web", "before", "-o", "json").out)["size_bytes"] == 3 * 2**20
    listed = cli("ws", "snapshot", "list", "web").out.splitlines()
    assert (listed[0].split(), listed[1].split()[0]) == (["NAME", "AGE", "SIZE"], "before")


@pytest.mark.parametrize("verb", ["restore", "remove"])
def test_what_loses_something_asks(kept: FakeServer, cli: Cli, verb: str) -> None:
    assert cli("ws", "snapshot", verb, "web", "before").status == 2
    assert not [request for request in kept.requests if request.method != "GET"]
    assert cli("ws", "snapshot", verb, "web", "before", "--yes").status == 0


def test_unknown_ones(kept: FakeServer, cli: Cli) -> None:
    failure = SnapshotNotFound("workspace web has no snapshot later")
    kept.routes[f"POST {SNAPSHOTS}/later/restore"] = failure
    ended = cli("ws", "snapshot", "restore", "web", "later", "--yes")
    assert (ended.status, "no snapshot later" in ended.err) == (3, True)


def test_pause_and_resume(kept: FakeServer, cli: Cli) -> None:
    kept.routes |= {f"POST /workspaces/web/{verb}": Reply(202, OPERATION) for verb in ("pause", "resume")}
    assert cli("ws", "pause", "web").out == "workspace web paused\n"
    assert cli("ws", "resume", "web").out == "workspace web resumed\n"
