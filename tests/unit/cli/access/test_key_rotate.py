"""`key rotate` and the restrictions of `key install`."""

import json
import os
import signal
import threading
from dataclasses import replace

import msgspec
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request, sse
from tests.unit.client.samples import FINGERPRINT, KEY, operation

from vendetta.errors import AuthFailed, Conflict
from vendetta.models import KeyRotation, NodeRotation, Operation, Problem, Progress

RUNNING = replace(operation("running"), kind="key.rotate", target="server")


def ended(*nodes: NodeRotation) -> Operation:
    left = [outcome.node for outcome in nodes if outcome.error]
    rotation = KeyRotation(key=KEY, nodes=list(nodes), left=left, finished=not left)
    return replace(RUNNING, state="succeeded", result=msgspec.to_builtins(rotation))


def answer(fake: FakeServer, *seen: Operation) -> None:
    fake.routes |= {"POST /keys/rotate": Reply(202, RUNNING), "GET /operations/op1/watch": sse(*seen)}


def test_each_node_is_told_and_then_the_end(fake: FakeServer, cli: Cli) -> None:
    part = msgspec.to_builtins(NodeRotation(node="gpu"))
    progress = replace(RUNNING, progress=Progress(message="any words", current=1, total=2, part=part))
    answer(fake, progress, ended(NodeRotation(node="gpu"), NodeRotation(node="lab")))
    done = cli("key", "rotate")
    assert (done.status, done.err) == (0, "gpu has the new key\nlab has the new key\n")
    assert f"New key:  {KEY.type} {FINGERPRINT}\nRotated:  2 of 2 nodes\nOld key:  removed\n" in done.out
    assert fake.requests[0].body == {"nodes": [], "type": None}
    assert fake.requests[0].headers["idempotency-key"]


def test_a_node_that_keeps_the_old_key(fake: FakeServer, cli: Cli) -> None:
    problem = Problem.from_error(AuthFailed("node lab doesn't let me in with the key", hint="chmod go-w ~"))
    answer(fake, ended(NodeRotation(node="gpu"), NodeRotation(node="lab", error=problem)))
    done = cli("key", "rotate", "gpu", "lab", "--type", "rsa")
    assert done.status == 1
    assert "error: lab: node lab doesn't let me in with the key\nhint: chmod go-w ~\n" in done.err
    assert "vendetta key rotate" in done.err
    assert "Rotated:  1 of 2 nodes\nOld key:  kept, for lab\n" in done.out
    assert fake.requests[0].body == {"nodes": ["gpu", "lab"], "type": "rsa"}
    done = cli("key", "rotate", "-o", "json")
    found = json.loads(done.out)
    assert (done.status, found["left"], found["nodes"][1]["error"]["code"]) == (1, ["lab"], "auth_failed")
    assert cli("key", "rotate", "-o", "name").out == f"{FINGERPRINT}\n"


def test_a_rotation_that_fails_as_a_whole(fake: FakeServer, cli: Cli) -> None:
    answer(fake, replace(RUNNING, state="failed", error=Problem.from_error(Conflict("already on its way"))))
    assert cli("key", "rotate").status == 4


def test_install_with_restrictions(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/install-key"] = KEY
    assert cli("key", "install", "gpu", "--restrict", "--from", "10.0.0.0/8,fd00::/8").status == 0
    body = {"login": {}, "public_key": None, "restrict": True, "sources": ["10.0.0.0/8", "fd00::/8"]}
    assert fake.requests[0].body == body


def test_ctrl_c_cancels_the_rotation_and_says_what_is_left(fake: FakeServer, cli: Cli) -> None:
    cancelled = threading.Event()

    def watch(request: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled.wait(10)
        return sse(replace(RUNNING, state="cancelled"))

    def cancel(request: Request) -> Reply:
        cancelled.set()
        return Reply(body=RUNNING)

    answer(fake)
    fake.routes |= {"POST /operations/op1/cancel": cancel, "GET /operations/op1/watch": watch}
    ended = cli("key", "rotate")
    assert ended.status == 130
    assert ended.err.endswith("Nodes that have the new key keep it; for the rest, run: vendetta key rotate\n")
