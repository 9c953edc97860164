import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click import unstyle
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, Request, items, sse
from tests.unit.client.samples import DRAINED, EVENT, FINGERPRINT, KEY, NODE, REPORT, SOCKET, WORKSPACE, operation

from vendetta.cli.access.randomart import draw
from vendetta.cli.node.add import derive_name
from vendetta.cli.node.watching import Sight, build_text
from vendetta.errors import AuthFailed, HostKeyUnknown, InvalidInput, ProviderError
from vendetta.models import BulkResult, Drained, DrainResult, Problem

UNKNOWN = HostKeyUnknown(
    "node gpu shows a host key that nobody knows",
    hint="Add --host-key or --accept-new.",
    host="gpu.lan",
    port=22,
    type="ssh-ed25519",
    bits=256,
    fingerprint=FINGERPRINT,
)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A person at the terminal, who types these; returns what they were asked."""

    def type_(*texts: str) -> list[str]:
        left, asked = list(texts), []

        def prompt(question: str, **options: object) -> str:
            asked.append(question)
            return left.pop(0)

        monkeypatch.setattr("vendetta.cli.session.Session.interactive", True)
        monkeypatch.setattr("click.prompt", prompt)
        return asked

    return type_


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("gpu", "gpu"),
        ("me@gpu.lan:2222", "gpu"),
        ("10.0.0.7:22", "10-0-0-7"),
        ("ssh://me@GPU_1.lan:22/", "gpu-1"),
        ("[fe80::1]:22", "fe80-1"),
        ("::1", "1"),
    ],
)
def test_a_name_is_made_of_the_address(address: str, name: str) -> None:
    assert derive_name(address) == name


def test_an_address_without_a_name_says_what_to_do() -> None:
    with pytest.raises(InvalidInput):
        derive_name("@")


def test_add_sends_what_was_said_and_tells_what_was_found(fake: FakeServer, cli: Cli, tmp_path: Path) -> None:
    fake.routes |= {"POST /nodes": Reply(201, NODE), "GET /nodes/gpu/doctor": replace(REPORT, checks=[])}
    identity = str(tmp_path / "id")
    ended = cli("node", "add", "gpu", "me@gpu.lan", "--label", "a=b", "--jump", "j1", "--jump", "j2",
                "--identity", identity, "--accept-new", "--install-key")  # fmt: skip
    assert ended.status == 0
    assert ended.err == "node gpu added\n"
    for part in ("docker 24.0.7 healthy", "8 CPUs, 32 GiB memory", "Debian 12, 6.1.0"):
        assert part in ended.out
    assert fake.requests[0].body == {
        "name": "gpu",
        "address": "me@gpu.lan",
        "user": None,
        "port": None,
        "identity": identity,
        "jump": ["j1", "j2"],
        "sudo": False,
        "labels": {"a": "b"},
        "login": {"accept_new": True},
        "connect": True,
        "install_key": True,
    }


def test_without_a_terminal_an_unknown_host_key_is_refused(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes"] = UNKNOWN
    ended = cli("node", "add", "gpu.lan")
    assert ended.status == 6
    assert "--accept-new" in ended.err
    assert fake.requests[0].body["name"] == "gpu"


def test_a_person_is_asked_for_the_host_key_and_the_password(
    fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]
) -> None:
    def add(request: Request) -> object:
        login = request.body["login"]
        if "host_key" not in login:
            return UNKNOWN
        return NODE if "password" in login else AuthFailed("refused", methods=["publickey", "password"])

    fake.routes["POST /nodes"] = add
    asked = answers("what?", "yes", "s3cret")
    ended = cli("node", "add", "gpu", "gpu.lan")
    assert ended.status == 0
    assert [len(asked), asked[-1]] == [3, "Password"]
    assert f"ED25519 key fingerprint is {FINGERPRINT}." in ended.err
    assert fake.asked("POST /nodes")[-1].body["login"] == {"host_key": FINGERPRINT, "password": "s3cret"}
    assert "s3cret" not in ended.out + ended.err


@pytest.mark.parametrize("verbose", [False, True])
def test_with_v_the_host_key_is_shown_as_a_picture(
    fake: FakeServer, cli: Cli, answers: Callable[..., list[str]], verbose: bool
) -> None:
    fake.routes["POST /nodes"] = UNKNOWN
    fake.routes["POST /nodes/gpu/trust"] = UNKNOWN
    picture = "\n".join(draw(FINGERPRINT, "ssh-ed25519", 256))
    for argv in (("node", "add", "gpu", "gpu.lan"), ("node", "trust", "gpu")):
        answers("no")
        ended = cli(*argv, *(["-v"] if verbose else []))
        assert (ended.status, picture in ended.err) == (6, verbose)


def test_a_no_refuses(fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]) -> None:
    fake.routes["POST /nodes"] = UNKNOWN
    answers("no")
    assert cli("node", "add", "gpu", "gpu.lan").status == 6
    assert len(fake.requests) == 1


def test_nobody_is_asked_twice_for_the_same_key(fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]) -> None:
    fake.routes["POST /nodes"] = UNKNOWN
    asked = answers("yes")
    assert cli("node", "add", "gpu", "gpu.lan").status == 6
    assert len(asked) == 1


def test_a_password_is_asked_for_only_where_it_can_help(
    fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]
) -> None:
    fake.routes["POST /nodes/gpu/connect"] = AuthFailed("refused", methods=["publickey"])
    answers()
    assert cli("node", "connect", "gpu").status == 6


def test_a_locked_key_is_unlocked_on_the_way_or_left_for_the_password(
    fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]
) -> None:
    locked = AuthFailed("refused", methods=["publickey", "password"], locked=["/k", "/l"])
    unlocked: list[str] = []

    def unlock(request: Request) -> object:
        if request.body["passphrase"] != "sesame":
            return InvalidInput("that passphrase doesn't unlock /l")
        unlocked.append(request.body["path"])
        return items(KEY)

    fake.routes["POST /keys/unlock"] = unlock
    fake.routes["POST /nodes/gpu/connect"] = lambda request: NODE if unlocked else locked
    asked = answers("", "wrong", "sesame")
    ended = cli("node", "connect", "gpu")
    assert (ended.status, unlocked) == (0, ["/l"])
    assert [question.split()[2] for question in asked] == ["/k", "/l", "/l"]
    assert "sesame" not in ended.out + ended.err
    fake.routes["POST /nodes/gpu/connect"] = lambda request: NODE if "password" in request.body["login"] else locked
    asked = answers("", "", "s3cret")
    assert cli("node", "connect", "gpu").status == 0
    assert asked[-1] == "Password"


def test_options_that_exclude_each_other(cli: Cli) -> None:
    ended = cli("node", "add", "gpu", "h", "--host-key", FINGERPRINT, "--accept-new")
    assert (ended.status, "--host-key and --accept-new exclude each other" in ended.err) == (2, True)
    assert cli("node", "add", "gpu", "h", "--port", "0").status == 2


def test_trust_asks_with_the_offered_key(fake: FakeServer, cli: Cli, answers: Callable[..., list[str]]) -> None:
    fake.routes["POST /nodes/gpu/trust"] = lambda request: NODE if request.body["host_key"] else UNKNOWN
    assert cli("node", "trust", "gpu").status == 6
    answers("yes")
    assert cli("node", "trust", "gpu").out == "node gpu is connected\n"
    assert fake.requests[-1].body == {"host_key": FINGERPRINT}


def test_edit(fake: FakeServer, cli: Cli) -> None:
    fake.routes["PATCH /nodes/gpu"] = NODE
    assert cli("node", "edit", "gpu", "--port", "22", "--label", "a=b", "--label", "c-", "--no-jump").status == 0
    assert fake.requests[0].body == {"port": 22, "labels": {"a": "b", "c": None}, "jump": []}
    assert cli("node", "edit", "gpu").status == 2


def test_remove_needs_a_yes(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.routes["DELETE /nodes/gpu"] = Reply(204)
    ended = cli("node", "remove", "gpu")
    assert (ended.status, "--yes" in ended.err, fake.requests) == (2, True, [])
    assert cli("node", "remove", "gpu", "--yes", "--force").out == "node gpu removed\n"
    assert fake.requests[0].query == {"force": ["true"]}
    monkeypatch.setattr("vendetta.cli.session.Session.interactive", True)
    monkeypatch.setattr("click.confirm", lambda *args, **options: False)
    assert cli("node", "remove", "gpu").status == 130
    assert len(fake.requests) == 1


def test_disconnect(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/disconnect"] = NODE
    assert cli("node", "disconnect", "gpu").out == "node gpu disconnected\n"
    assert cli("node", "disconnect", "gpu", "-q").out == ""


def test_watching_shows_each_change_once(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    monkeypatch.setattr("vendetta.client.watch.PAUSES", ())
    states = iter([NODE, replace(NODE, latency_seconds=1.0), replace(NODE, status="offline", reason="no answer")])
    fake.routes |= {
        "GET /nodes/gpu": lambda request: next(states),
        "GET /workspaces": items(WORKSPACE),
        "GET /events": sse(EVENT, replace(EVENT, subject="other"), replace(EVENT, sequence=8)),
    }
    ended = cli("node", "status", "gpu", "--watch", "-o", "json")
    assert ended.status == 5
    said = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["node"]["status"] for each in said] == ["connected", "offline"]
    assert said[0]["workspaces"] == {WORKSPACE.state: 1}


def test_watching_what_is_on_a_node_is_a_line_for_each_change(
    fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vendetta.client.watch.PAUSES", ())
    states = iter(["running", "running", "failed"])
    fake.routes |= {
        "GET /nodes/gpu": NODE,
        "GET /workspaces": lambda request: items(replace(WORKSPACE, state=next(states))),
        "GET /events": sse(
            replace(EVENT, subject="web", data={"node": "gpu"}),
            replace(EVENT, sequence=8, subject="web", data={"node": "elsewhere"}),
            replace(EVENT, sequence=9, subject="web", data={"node": "gpu"}),
        ),
    }
    first, last = cli("node", "status", "gpu", "--watch").out.splitlines()
    assert "connected" in first
    assert "1 running" in first
    assert "1 failed" in last


def test_the_picture_of_a_node_has_its_workspaces() -> None:
    text = unstyle(build_text(Sight(NODE, Counter({"running": 2, "failed": 1}))))
    assert "1 failed, 2 running" in text
    assert "Status" in text


def test_a_socket_is_for_who_is_on_the_servers_machine(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/socket"] = SOCKET
    fake.routes["GET /nodes/gpu"] = NODE
    fake.routes["DELETE /nodes/gpu/socket"] = Reply(204)
    assert cli("node", "socket", "gpu").out == f"{SOCKET.path}\n"
    assert (
        cli("-o", "name", "node", "env", "gpu", "docker").out.splitlines()[0]
        == f"export DOCKER_HOST=unix://{SOCKET.path}"
    )
    asked = len(fake.requests)
    undone = cli("node", "env", "gpu", "--shell", "fish", "--unset").out
    assert "set -e DOCKER_HOST;" in undone.splitlines()
    assert len(fake.requests) == asked
    assert "closed" in cli("node", "socket", "gpu", "--close").err
    away = cli("--server", "http://127.0.0.1:9", "--token", "t", "node", "socket", "gpu")
    assert away.status == 1
    assert "not on this one" in away.err


def test_a_node_is_cordoned(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"POST /nodes/a/cordon": replace(NODE, name="a"), "POST /nodes/a/uncordon": replace(NODE, name="a")}
    assert cli("node", "cordon", "a").out == "node a cordoned\n"
    assert cli("node", "uncordon", "a").out == "node a uncordoned\n"


def test_many_nodes_are_changed_by_the_server(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {
        "GET /nodes": items(replace(NODE, name="a"), replace(NODE, name="b")),
        "POST /nodes/bulk": Reply(pieces=[b'{"name": "a"}\n\n{"na', b'me": "b"}\n'], type="application/x-ndjson"),
    }
    assert cli("node", "cordon", "--label", "zone=lab").out == "node a cordoned\nnode b cordoned\n"
    assert fake.requests[0].query == {"label": ["zone=lab"]}
    assert fake.requests[1].body == {"action": "cordon", "names": ["a", "b"], "config": {}}
    assert cli("node", "disconnect", "--all", "-o", "name").out == "a\nb\n"
    assert cli("node", "connect", "a", "b", "--accept-new").status == 2
    assert cli("node", "remove", "a", "b").status == 2
    assert cli("node", "remove", "a", "b", "--force", "--yes").status == 0
    assert fake.requests[-1].body == {"action": "remove", "names": ["a", "b"], "config": {"force": True}}


DRAIN = {
    "POST /nodes/gpu/drain": operation("succeeded", result=msgspec.to_builtins(DRAINED)),
}


def test_a_drained_node_is_told_workspace_by_workspace(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= DRAIN
    ended = cli("node", "drain", "gpu", "--move", "--to", "spare", "--force", "--timeout", "3")
    assert ended.status == 0
    assert ended.out.splitlines() == [
        "NAME   OUTCOME   NODE    REASON",
        "web    moved     spare   -",
        "db     stopped   -       db can't be moved",
        "node gpu drained: 1 moved, 1 stopped",
    ]
    assert fake.requests[0].body == {"move": True, "to": "spare", "force": True, "timeout_seconds": 3}
    assert json.loads(cli("node", "drain", "gpu", "-o", "json").out)["workspaces"][0]["node"] == "spare"


def test_what_could_not_be_drained_is_named(fake: FakeServer, cli: Cli) -> None:
    left = Drained(name="db", outcome="left", problem=Problem.from_error(AuthFailed("it won't end")))
    error = ProviderError("1 of 2 are left", hint="Again.", workspaces=[msgspec.to_builtins(left)])
    fake.routes["POST /nodes/gpu/drain"] = operation("failed", error=Problem.from_error(error))
    ended = cli("node", "drain", "gpu")
    assert ended.status == 1
    assert ended.out.splitlines()[1].split() == ["db", "left", "-", "it", "won't", "end"]
    assert ended.err == "error: 1 of 2 are left\nhint: Again.\n"


def test_a_drain_is_shown_before_it_is_done(fake: FakeServer, cli: Cli) -> None:
    fake.routes["POST /nodes/gpu/drain/plan"] = DRAINED
    assert "web    moved     spare" in cli("node", "drain", "gpu", "--move", "--dry-run").out
    assert fake.requests[0].body == {"move": True}
    assert cli("node", "drain", "gpu", "--force").status == 2


def test_the_way_back(fake: FakeServer, cli: Cli) -> None:
    result = DrainResult(node="gpu", workspaces=[Drained(name="db", outcome="started")])
    fake.routes |= {
        "POST /nodes/gpu/undrain": operation("succeeded", result=msgspec.to_builtins(result)),
        "POST /nodes/bulk": Reply(
            pieces=[
                msgspec.json.encode(BulkResult(name=name, result=msgspec.to_builtins(result))) + b"\n" for name in "ab"
            ]
        ),
    }
    assert cli("node", "undrain", "gpu").out.splitlines()[-1] == "node gpu undrained: 1 started"
    assert cli("node", "undrain", "a", "b").out == ("node a undrained\n  1 started\nnode b undrained\n  1 started\n")
