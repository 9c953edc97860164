import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request, sse
from tests.unit.client.samples import OPERATION, WORKSPACE, operation

from vendetta.errors import ImageNotFound, NameTaken, WorkspaceNotFound
from vendetta.models import Problem, Stats

CREATE = ("workspace", "create", "web", "--provider", "docker", "--image", "nginx")


@pytest.fixture
def made(fake: FakeServer) -> FakeServer:
    fake.routes |= {
        "POST /workspaces": Reply(202, OPERATION),
        "GET /operations/op1/watch": sse(OPERATION, operation("succeeded")),
        "GET /workspaces/web": WORKSPACE,
    }
    return fake


def test_create_waits_and_tells_where_it_is(made: FakeServer, cli: Cli) -> None:
    ended = cli(*CREATE, "--node", "gpu")
    assert (ended.status, ended.out, ended.err) == (0, "workspace web is running on node gpu\n", "")
    assert made.requests[0].body == {
        "name": "web",
        "provider": "docker",
        "image": "nginx",
        "node": "gpu",
        "start": True,
    }
    assert json.loads(cli(*CREATE, "-o", "json").out)["name"] == "web"


def test_create_takes_everything(made: FakeServer, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\nB=2\n")
    options = "--label zone=lab --cpus 0.5 --memory 2G --disk 10G --pids 9 -e B=3 --mount /a:/b:ro --set network=none"
    ended = cli(*CREATE, *options.split(), "--env-file", str(tmp_path / "env"), "--no-start", "--", "sh", "-c", "x y")
    assert ended.status == 0
    assert made.requests[0].body == {
        "name": "web",
        "provider": "docker",
        "image": "nginx",
        "placement": {"zone": "lab"},
        "command": ["sh", "-c", "x y"],
        "env": {"A": "1", "B": "3"},
        "cpus": 0.5,
        "memory": "2G",
        "disk": "10G",
        "pids": 9,
        "mounts": [{"source": "/a", "target": "/b", "read_only": True}],
        "options": {"network": "none"},
        "start": False,
    }


@pytest.mark.parametrize(
    ("args", "argv"),
    [
        (("--command", "sh -c 'a b'"), ["sh", "-c", "a b"]),
        (("--command", "sleep", "60"), ["sleep", "60"]),
        (("--command", "--", "sleep", "60"), ["sleep", "60"]),
    ],
)
def test_commands(made: FakeServer, cli: Cli, args: tuple[str, ...], argv: list[str]) -> None:
    assert cli(*CREATE, *args).status == 0
    assert made.requests[0].body["command"] == argv


@pytest.mark.parametrize("args", [("second",), ("--command", "'"), ("-e", "A"), ("--mount", "x"), ("--cpus", "0")])
def test_bad_options_reach_no_server(made: FakeServer, cli: Cli, args: tuple[str, ...]) -> None:
    ended = cli(*CREATE, *args)
    assert (ended.status, made.requests) == (2, [])


def test_no_wait_prints_the_operation(made: FakeServer, cli: Cli) -> None:
    assert cli(*CREATE, "--no-wait").out == "op1\n"
    assert json.loads(cli(*CREATE, "--no-wait", "-o", "json").out)["kind"] == "workspace.create"


def test_failures_keep_their_status(made: FakeServer, cli: Cli) -> None:
    problem = Problem.from_error(ImageNotFound("there is no image nginx", hint="Try another."))
    made.routes["GET /operations/op1/watch"] = sse(operation("failed", error=problem))
    ended = cli(*CREATE)
    assert (ended.status, ended.err) == (1, "error: there is no image nginx\nhint: Try another.\n")
    made.routes["POST /workspaces"] = NameTaken("there is already a workspace web")
    assert cli(*CREATE).status == 4


def test_ctrl_c_cancels_and_waits(made: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real interrupt, sent as the operation is first watched."""
    cancelled = threading.Event()

    def watch(request: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancelled.wait(10)
        return sse(operation("cancelled"))

    def cancel(request: Request) -> Reply:
        cancelled.set()
        return Reply(body=OPERATION)

    made.routes |= {"POST /operations/op1/cancel": cancel, "GET /operations/op1/watch": watch}
    ended = cli(*CREATE)
    assert ended.status == 130
    assert "workspace.create of web: cancelled" in ended.err
    assert len(made.asked("POST /operations/op1/cancel")) == 1


def test_a_second_ctrl_c_leaves_at_once(made: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Event()

    def watch(request: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        left.wait(10)
        return sse(operation("cancelled"))

    def cancel(request: Request) -> Reply:
        os.kill(os.getpid(), signal.SIGINT)
        left.wait(10)
        return Reply(body=OPERATION)

    made.routes |= {"POST /operations/op1/cancel": cancel, "GET /operations/op1/watch": watch}
    assert cli(*CREATE).status == 130
    left.set()


def test_several_side_by_side_end_with_the_worst(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {
        "POST /workspaces/a/stop": operation("succeeded"),
        "POST /workspaces/b/stop": WorkspaceNotFound("no workspace b"),
        "POST /workspaces/c/stop": operation("succeeded"),
        "GET /workspaces/a": replace(WORKSPACE, name="a"),
        "GET /workspaces/c": replace(WORKSPACE, name="c"),
    }
    ended = cli("workspace", "stop", "a", "b", "c", "a", "--timeout", "3")
    assert ended.status == 3
    assert ended.out == "workspace a stopped\nworkspace c stopped\n"
    assert ended.err == "error: b: no workspace b\n"
    assert len(fake.requests) == 3
    assert fake.requests[0].body == {"timeout_seconds": 3}
    ended = cli("workspace", "stop", "a", "c", "-o", "json")
    assert [found["name"] for found in json.loads(ended.out)] == ["a", "c"]


def test_start_restart_and_remove(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {
        "POST /workspaces/web/start": operation("succeeded"),
        "POST /workspaces/web/restart": operation("succeeded"),
        "DELETE /workspaces/web": operation("succeeded"),
    }
    assert cli("ws", "start", "web").out == "workspace web started\n"
    assert cli("ws", "restart", "web").out == "workspace web restarted\n"
    assert cli("ws", "rm", "web").status == 2
    assert cli("ws", "rm", "web", "-f", "--yes").out == "workspace web removed\n"
    assert fake.requests[-1].query == {"force": ["true"]}


def test_status_of_several(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"GET /workspaces/web": WORKSPACE, "GET /workspaces/x": WorkspaceNotFound("no workspace x")}
    assert "Limits:    cpus 2, memory 1 GiB\n" in cli("ws", "status", "web").out
    ended = cli("ws", "status", "web", "x")
    assert ended.status == 3
    assert [line.split()[0] for line in ended.out.splitlines()] == ["NAME", "web"]


def test_stats_and_logs(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {
        "GET /workspaces/web/stats": Stats(
            cpu_fraction=0.5,
            cpu_seconds=3,
            memory_bytes=2**20,
            memory_limit_bytes=2**30,
            pids=4,
            network_received_bytes=0,
            network_sent_bytes=1,
        ),
        "GET /workspaces/web/logs": Reply(pieces=[b"one\n", b"\xff\n"]),
    }
    assert "Memory:     1 MiB of 1 GiB\n" in cli("ws", "stats", "web").out
    from vendetta.cli.root import run

    assert run(["ws", "logs", "web", "--tail", "5", "--since", "2h"]) == 0
    assert fake.requests[-1].query["tail"] == ["5"]
