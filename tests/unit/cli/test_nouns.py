"""execute, operation, events, key, token, server and config."""

import io
import json
import os
import signal
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, items, sse
from tests.unit.client.samples import EVENT, FINGERPRINT, KEY, OPERATION, SERVER, TOKEN, operation

from vendetta.cli.server.server import find_tail, read_log
from vendetta.errors import NodeNotFound, UnknownAction
from vendetta.models import Attempt, ExecutionResult, Problem, TokenCreated

EXECUTE = ("execute", "gpu", "docker")


def test_execute_prints_the_output(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/execute"] = ExecutionResult(success=True, output="hello")
    config = '{"argv": ["echo", "hello"]}'
    options = ("--workspace", "web", "--config", config, "--retries", "0", "--timeout", "5")
    ended = cli(*EXECUTE, "exec", *options)
    assert (ended.status, ended.out, ended.err) == (0, "hello\n", "")
    assert fake.requests[0].body == {
        "action": "exec",
        "provider": "docker",
        "config": {"argv": ["echo", "hello"]},
        "workspace": "web",
        "retries": 0,
        "timeout_seconds": 5,
    }


def test_execute_fails_as_its_problem(fake: FakeServer, cli: Cli) -> None:
    problem = Problem.from_error(NodeNotFound("no node gpu"))
    fake.routes["POST /nodes/gpu/execute"] = ExecutionResult(
        success=False, error="no node gpu", metadata={"problem": problem}
    )
    ended = cli(*EXECUTE, "list", "-o", "json")
    assert (ended.status, json.loads(ended.out)["success"], json.loads(ended.err)["code"]) == (3, False, problem.code)
    fake.routes["POST /nodes/gpu/execute"] = ExecutionResult(success=False, error="odd")
    assert cli(*EXECUTE, "list").status == 1
    fake.routes["POST /nodes/gpu/execute"] = UnknownAction("docker has no action jump")
    assert cli(*EXECUTE, "jump").status == 2
    assert cli(*EXECUTE, "list", "--config", "{").status == 2


def test_execute_async(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/execute"] = Reply(202, OPERATION)
    assert cli(*EXECUTE, "list", "--async").out == "op1\n"
    assert fake.requests[0].query == {"wait": ["false"]}


def test_an_operation_shows_its_deadline_and_what_its_steps_came_to(fake: FakeServer, cli: Cli) -> None:
    began = datetime(2026, 1, 1, 12, tzinfo=UTC)
    failed = Attempt(
        step="start",
        number=1,
        started_at=began,
        ended_at=began + timedelta(seconds=2.5),
        code="connect_failed",
        error="no route to host",
        next_try_at=began + timedelta(seconds=4),
    )
    done = replace(failed, number=2, code=None, error=None, next_try_at=None)
    fake.routes["GET /operations/op1"] = operation("running", deadline=began, history=[failed, done])
    lines = cli("operation", "show", "op1").out.splitlines()
    assert next(line for line in lines if line.startswith("Deadline:")).split()[1].startswith("2026-01-01")
    table = lines[next(number for number, line in enumerate(lines) if line.startswith("History:")) :]
    assert table[0].split() == ["History:", "STEP", "TRY", "BEGAN", "TOOK", "OUTCOME"]
    assert "2.5 s" in table[1]
    assert "no route to host (connect_failed); next try by 2026-01-01" in table[1]
    assert table[2].endswith("done")


def test_operations(fake: FakeServer, cli: Cli) -> None:
    failed = operation("failed", error=Problem.from_error(NodeNotFound("no node gpu", hint="Add it.")))
    fake.routes |= {
        "GET /operations": items(OPERATION),
        "GET /operations/op1": failed,
        "POST /operations/op1/cancel": OPERATION,
    }
    assert cli("operation", "list").out.splitlines()[1].split()[:4] == ["op1", "workspace.create", "web", "running"]
    assert "Error:     no node gpu (node_not_found)\nHint:      Add it.\n" in cli("operation", "show", "op1").out
    assert cli("operation", "wait", "op1").status == 3
    assert cli("operation", "cancel", "op1").out == "operation op1 is being cancelled\n"
    fake.routes["GET /operations/op1"] = operation("succeeded", result={"name": "web"})
    assert cli("operation", "wait", "op1").status == 0
    fake.routes["GET /operations/op1"] = OPERATION
    assert cli("operation", "wait", "op1", "--timeout", "0").status == 7


def test_events_of_a_kind_or_about_something(fake: FakeServer, cli: Cli) -> None:
    failed = {"reason": "ended with status 7", "exit_status": 7, "last_lines": ["one", "two"], "code": None}
    fake.routes["GET /events"] = items(
        EVENT,
        replace(EVENT, sequence=8, kind="workspace.failed", subject="web", data=failed),
        replace(EVENT, sequence=9, kind="workspace.running", subject="db"),
        replace(EVENT, sequence=10, kind="events.missed", subject="events"),
    )
    assert cli("events", "--kind", "workspace", "-o", "name").out == "8\n9\n10\n"
    assert cli("events", "--kind", "workspace.running", "--kind", "node", "-o", "name").out == "7\n9\n10\n"
    assert cli("events", "--subject", "web", "-o", "name").out == "8\n10\n"
    line = cli("events", "--subject", "web").out.splitlines()[1]
    assert line.endswith('reason="ended with status 7" exit_status=7 last_lines="one | two"')


def test_events(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.routes["GET /events"] = items(EVENT)
    assert cli("events").out.splitlines()[1].split()[-4:] == ["node.added", "gpu", "uid:0", "address=gpu.lan"]
    monkeypatch.setattr("vendetta.client.watch.PAUSES", ())
    fake.routes["GET /events"] = sse(EVENT, replace(EVENT, sequence=8))
    ended = cli("events", "-f", "--since", "6", "-o", "json")
    assert [json.loads(line)["sequence"] for line in ended.out.splitlines()] == [7, 8]
    assert ended.status == 5
    assert cli("events", "-f", "-o", "name").out == "7\n8\n"
    assert cli("events", "-f").out.splitlines()[0].startswith("7  ")
    assert cli("events", "-f", "-o", "yaml").out.startswith("---\nsequence: 7\n")


def test_keys(fake: FakeServer, cli: Cli, tmp_path: Path) -> None:
    fake.routes |= {"GET /keys": items(KEY), "POST /keys": Reply(201, KEY), "POST /nodes/gpu/install-key": KEY}
    assert FINGERPRINT in cli("key", "list").out
    assert "Public key:   ssh-ed25519 AA" in cli("key", "generate").out
    (tmp_path / "k.pub").write_text("ssh-ed25519 BB me\n")
    assert cli("key", "install", "gpu", "--public-key", str(tmp_path / "k.pub")).status == 0
    assert fake.requests[-1].body == {"login": {}, "public_key": "ssh-ed25519 BB me"}
    (tmp_path / "k").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    for path in ("k", "absent"):
        assert cli("key", "install", "gpu", "--public-key", str(tmp_path / path)).status == 2
    assert len(fake.asked("POST /nodes/gpu/install-key")) == 1


def test_key_unlock_reads_a_descriptor_or_asks(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = replace(KEY, path="/k", encrypted=True)
    fake.routes["POST /keys/unlock"] = items(replace(locked, unlocked=True))
    reading, writing = os.pipe()
    os.write(writing, b"open sesame\nmore\n")
    ended = cli("key", "unlock", "k", "--passphrase-fd", str(reading))
    assert "file (encrypted, unlocked)" in ended.out
    assert fake.requests[-1].body == {"passphrase": "open sesame", "path": str(Path("k").absolute())}
    os.close(writing)
    assert cli("key", "unlock", "--passphrase-fd", str(reading)).status == 2
    os.close(reading)
    assert cli("key", "unlock", "--passphrase-fd", str(reading)).status == 2
    assert "--passphrase-fd" in cli("key", "unlock").err

    fake.routes["GET /keys"] = items(KEY, locked)
    monkeypatch.setattr("vendetta.cli.session.Session.interactive", True)
    monkeypatch.setattr("click.prompt", lambda *given, **options: "sesame")
    assert cli("key", "unlock").status == 0
    assert fake.requests[-1].body == {"passphrase": "sesame", "path": "/k"}
    assert len(fake.asked("POST /keys/unlock")) == 2


def test_a_password_comes_from_stdin(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.routes["POST /nodes/gpu/install-key"] = KEY
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret\nmore"))
    assert cli("key", "install", "gpu", "--password-stdin").out == f"key {FINGERPRINT} is on node gpu\n"
    assert fake.requests[0].body["login"] == {"password": "s3cret"}
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli("key", "install", "gpu", "--password-stdin").status == 2


def test_tokens(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {
        "POST /tokens": Reply(201, TokenCreated(token=TOKEN, secret="s3cret")),
        "GET /tokens": items(TOKEN),
        "DELETE /tokens/t1": Reply(204),
    }
    ended = cli("token", "create", "ci", "--role", "admin")
    assert (ended.out, "shown this once" in ended.err) == ("s3cret\n", True)
    assert json.loads(cli("token", "create", "ci", "-o", "json").out)["secret"] == "s3cret"
    assert cli("token", "list").out.splitlines()[1].split()[:3] == ["t1", "ci", "admin"]
    assert cli("token", "revoke", "t1").out == "token t1 revoked\n"


def test_server_status_never_starts_one(cli: Cli, tmp_path: Path) -> None:
    ended = cli("server", "status")
    assert ended.status == 5
    assert "vendetta server start" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_server_start_and_status(fake: FakeServer, cli: Cli) -> None:
    fake.routes["GET /server"] = replace(SERVER, pid=os.getpid())
    assert cli("server", "start").out.startswith(f"server was running already (pid {os.getpid()}) on unix:///")
    assert "Memory:        80 MiB\n" in cli("server", "status").out
    assert "This replica:  r1 (here, version 0.1.0, pid 42), nodes: 1\n" in cli("server", "status").out


def test_server_stop_without_one(cli: Cli) -> None:
    assert cli("server", "stop").out == "no server was running\n"
    ended = cli("--server", "http://127.0.0.1:1", "server", "stop")
    assert (ended.status, "somebody else runs" in ended.err) == (2, True)


def test_server_run_becomes_the_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[object] = []
    monkeypatch.setattr("os.execv", lambda *args: ran.append(args))
    assert cli("server", "run").status == 0
    assert str(ran).endswith("'-m', 'vendetta.api'))]")


def test_server_logs(cli: Cli, tmp_path: Path) -> None:
    assert cli("server", "logs").status == 3
    (tmp_path / "server.log").write_text("one\ntwo\nthree\n")
    assert cli("server", "logs").out == "one\ntwo\nthree\n"
    assert cli("server", "logs", "--tail", "2").out == "two\nthree\n"


@pytest.mark.parametrize(
    ("text", "lines", "rest"), [(b"a\nb\n", 0, b""), (b"a\nb", 1, b"b"), (b"a\nb\n", 9, b"a\nb\n"), (b"", 3, b"")]
)
def test_tails(text: bytes, lines: int, rest: bytes) -> None:
    log = io.BytesIO(text)
    assert text[find_tail(log, lines) :] == rest


def test_a_tail_longer_than_a_block() -> None:
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    assert text[find_tail(io.BytesIO(text), 15_000) :].startswith(b"line 5000\n")


def test_a_log_is_followed_also_when_it_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendetta.cli.server.server.FOLLOW_SECONDS", 0.001)
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with path.open("rb") as log:
        pieces = read_log(log, path, follow=True)
        assert next(pieces) == b"one\n"
        path.write_bytes(b"2\n")
        assert next(pieces) == b"2\n"
        pieces.close()


def test_config(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("config", "check").out == f"valid: {tmp_path}/config.yaml (absent: defaults)\n"
    (tmp_path / "config.yaml").write_text("node_timeout: 90\n")
    monkeypatch.setenv("VENDETTA_MAX_CONNECTIONS", "5")
    sources = {line.split()[0]: line.split()[1:3] for line in cli("config", "show").out.splitlines()}
    assert sources["node_timeout"] == ["90.0", f"{tmp_path}/config.yaml"]
    assert sources["max_connections"] == ["5", "VENDETTA_MAX_CONNECTIONS"]
    assert json.loads(cli("config", "show", "-o", "json").out)["node_timeout"] == 90
    monkeypatch.setenv("VENDETTA_STATE_FILE", "postgresql://me:s3cret@db/vendetta")
    for shown in (cli("config", "show"), cli("config", "show", "-o", "json")):
        assert ("s3cret" in shown.out, "postgresql://me:***@db/vendetta" in shown.out) == (False, True)
    (tmp_path / "config.yaml").write_text("node_timeuot: 90\n")
    ended = cli("config", "check")
    assert (ended.status, 'Did you mean "node_timeout"?' in ended.err) == (2, True)


def test_a_followed_log_ends_with_ctrl_c(fake: FakeServer, cli: Cli) -> None:
    """The interrupt is real, and comes once the first piece was written."""
    sent = threading.Event()

    def pieces() -> object:
        yield b'{"channel":"stdout","data":"b25lCg=="}\n'
        os.kill(os.getpid(), signal.SIGINT)
        sent.wait(5)

    fake.routes["GET /workspaces/web/logs"] = Reply(pieces=pieces())  # type: ignore[arg-type]
    ended = cli("ws", "logs", "web", "-f")
    sent.set()
    assert ended.status == 130
    assert "Traceback" not in ended.err
