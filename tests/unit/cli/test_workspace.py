import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request, items, sse
from tests.unit.client.samples import OPERATION, WORKSPACE, operation

from vendetta.errors import ImageNotFound, NameTaken, ServerUnavailable, WorkspaceNotFound
from vendetta.models import BulkResult, MoveResult, Problem, Stats

CREATE = ("workspace", "create", "web", "--provider", "docker", "--image", "nginx")


@pytest.fixture
def made(fake: FakeServer) -> FakeServer:
    fake.routes |= {
        "POST /workspaces": Reply(202, OPERATION),
        "GET /operations/op1/watch": sse(OPERATION, operation("succeeded", result=msgspec.to_builtins(WORKSPACE))),
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
    assert json.loads(cli(*CREATE, "-o", "json").out) == json.loads(msgspec.json.encode(WORKSPACE))
    # the end of the watch is the result: it isn't asked for again
    assert [request.path for request in made.requests] == ["/workspaces", "/operations/op1/watch"] * 2


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


def results(*results: object) -> Reply:
    lines = b"".join(msgspec.json.encode(result) + b"\n" for result in results)
    return Reply(pieces=[lines[:10], lines[10:]], type="application/x-ndjson")


FAILED = BulkResult(name="b", problem=Problem.from_error(WorkspaceNotFound("no workspace b")))


def test_several_are_told_one_by_one_and_summed_up(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /workspaces/bulk"] = results(BulkResult(name="c"), FAILED, BulkResult(name="a"))
    ended = cli("workspace", "stop", "a", "b", "c", "a", "--timeout", "3")
    assert ended.status == 1
    assert ended.out == "workspace c stopped\nworkspace a stopped\n"
    assert ended.err == "error: b: no workspace b\n2 stopped, 1 failed: b\n"
    [asked] = fake.requests
    assert asked.body == {"action": "stop", "names": ["a", "b", "c"], "config": {"timeout_seconds": 3}}
    ended = cli("workspace", "stop", "a", "b", "c", "-o", "json")
    assert [json.loads(line)["name"] for line in ended.out.splitlines()] == ["c", "b", "a"]
    assert json.loads(ended.out.splitlines()[1])["problem"]["code"] == "workspace_not_found"
    assert cli("workspace", "stop", "a", "b", "c", "-o", "name").out == "c\na\n"
    assert "- name: c\n" in cli("workspace", "stop", "a", "b", "c", "-o", "yaml").out


def test_those_of_a_label_or_all_are_asked_for_by_name(fake: FakeServer, cli: Cli) -> None:
    """What goes is what was shown, whatever has come since."""
    fake.routes |= {
        "GET /workspaces": items(*(replace(WORKSPACE, name=f"w{number}") for number in range(7))),
        "POST /workspaces/bulk": results(*(BulkResult(name=f"w{number}") for number in range(7))),
    }
    refused = cli("workspace", "remove", "--label", "run=7", "--node", "gpu")
    assert (refused.status, len(fake.requests)) == (2, 1)
    assert "workspaces w0, w1, w2, w3, w4 and 2 more (7 in all)" in refused.err
    assert fake.requests[0].query == {"label": ["run=7"], "node": ["gpu"]}
    ended = cli("workspace", "remove", "--all", "--force", "--yes")
    assert (ended.status, ended.err) == (0, "7 removed\n")
    assert fake.requests[-1].body["names"] == [f"w{number}" for number in range(7)]
    assert fake.requests[-1].body["config"] == {"force": True}


def test_nobody_is_meant(fake: FakeServer, cli: Cli) -> None:
    fake.routes["GET /workspaces"] = items()
    assert cli("workspace", "stop", "--all") == (0, "", "there is no workspace\n")
    assert cli("workspace", "stop", "-l", "a=b", "--node", "gpu") == (
        0,
        "",
        "no workspace has this label on node gpu\n",
    )
    for args in ((), ("web", "--all"), ("--all", "--label", "a=b"), ("--node", "gpu"), ("web", "--node", "gpu")):
        assert cli("workspace", "stop", *args).status == 2


def test_a_server_that_stops_leaves_some_untold(fake: FakeServer, cli: Cli) -> None:
    def cut(request: Request) -> Reply:
        return Reply(pieces=[b'{"name": "a"}\n'], type="application/x-ndjson", cut=True)

    fake.routes["POST /workspaces/bulk"] = cut
    ended = cli("workspace", "stop", "a", "b")
    assert (ended.status, ended.out) == (5, "workspace a stopped\n")
    assert ended.err.startswith("1 stopped, 1 unknown: vendetta operation list\n")


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
        "GET /workspaces/web/logs": results(
            {"channel": "stdout", "data": b"one\n"}, {"channel": "stderr", "data": b"\xff\n"}
        ),
    }
    assert "Memory:     1 MiB of 1 GiB\n" in cli("ws", "stats", "web").out
    from vendetta.cli.root import run

    assert run(["ws", "logs", "web", "--tail", "5", "--since", "2h"]) == 0
    assert fake.requests[-1].query["tail"] == ["5"]


def test_logs_say_why_they_break_off(fake: FakeServer, cli: Cli) -> None:
    stopped = Problem.from_error(ServerUnavailable("the server is stopping", hint="Ask again."))
    fake.routes["GET /workspaces/web/logs"] = results({"channel": "stdout", "data": b"one\n"}, {"problem": stopped})
    ended = cli("ws", "logs", "web", "-f")
    assert (ended.status, ended.err) == (5, "error: the server is stopping\nhint: Ask again.\n")


def test_move(fake: FakeServer, cli: Cli) -> None:
    result = MoveResult(workspace=replace(WORKSPACE, node="spare"), left_behind="the old one is still on node gpu")
    fake.routes |= {
        "POST /workspaces/web/move": operation("succeeded", result=msgspec.to_builtins(result)),
        "POST /workspaces/bulk": results(BulkResult(name="a"), BulkResult(name="b")),
    }
    ended = cli("ws", "move", "web", "--to", "spare", "--timeout", "3")
    assert ended.out == "workspace web is running on node spare\n"
    assert ended.err == "note: the old one is still on node gpu\n"
    assert fake.requests[0].body == {"node": "spare", "placement": {}, "timeout_seconds": 3}
    assert cli("ws", "move", "a", "b", "--to-label", "zone=lab").err == "2 moved\n"
    assert fake.requests[-1].body["config"] == {"placement": {"zone": "lab"}}
