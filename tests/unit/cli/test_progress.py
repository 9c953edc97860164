import io
from dataclasses import replace

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, sse
from tests.unit.client.samples import NODE, OPERATION, WORKSPACE, operation

from vendetta.models import InstanceSpec, Mount, Progress, ProviderStatus


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_long_work_shows_what_it_does(
    fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulling = operation("running", progress=Progress(message="pulling [nginx]", current=10, total=100))
    fake.routes |= {
        "POST /workspaces/web/start": Reply(202, OPERATION),
        "GET /operations/op1/watch": sse(pulling, operation("succeeded")),
    }
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", Terminal())
        ended = cli("workspace", "start", "web")
    assert (ended.status, ended.out) == (0, "workspace web started\n")


def test_without_a_terminal_a_node_that_is_waited_for_is_told_once(fake: FakeServer, cli: Cli) -> None:
    waiting = Progress(message="waiting for node gpu: no route to host; until 14:03 UTC", waiting_for="gpu")
    later = replace(waiting, message="waiting for node gpu: timed out; until 14:03 UTC")
    fake.routes |= {
        "POST /workspaces/web/start": Reply(202, OPERATION),
        "GET /operations/op1/watch": sse(
            operation("running", progress=waiting), operation("running", progress=later), operation("succeeded")
        ),
    }
    ended = cli("workspace", "start", "web", "--deadline", "60")
    assert ended.status == 0
    assert ended.err == f"web: {waiting.message}\n"
    assert fake.requests[0].query == {"deadline": ["60.0"]}


def test_a_node_in_trouble_says_why(fake: FakeServer, cli: Cli) -> None:
    fake.routes["GET /nodes/gpu"] = replace(
        NODE,
        status="offline",
        reason="no answer for 120 s",
        address="fe80::1",
        jump=["a", "b"],
        cordoned=True,
        resources=None,
        host_key=None,
        labels={},
        capabilities=[],
        providers={"docker": ProviderStatus(state="unhealthy", reason="permission denied")},
    )
    out = cli("node", "status", "gpu").out
    for line in (
        "Address:    me@[fe80::1]:2222",
        "Jump:       a -> b",
        "Status:     offline (cordoned)",
        "Reason:     no answer for 120 s",
        "Engines:    docker unhealthy (permission denied)",
    ):
        assert f"{line}\n" in out


def test_a_workspace_tells_its_spec_but_no_secret(fake: FakeServer, cli: Cli) -> None:
    spec = InstanceSpec(
        image="nginx",
        env={"PASSWORD": "s3cret"},
        disk_bytes=2**30,
        pids=5,
        mounts=[Mount(source="/a", target="/b", read_only=True)],
        options={"network": "none"},
    )
    fake.routes["GET /workspaces/web"] = replace(WORKSPACE, spec=spec, reason="ended with 1", labels={"a": "b"})
    out = cli("workspace", "status", "web").out
    for line in (
        "Reason:       ended with 1",
        "Limits:       disk 1 GiB, pids 5",
        "Mount:        /a -> /b (read only)",
        "Environment:  PASSWORD",
        "Options:      network=none",
        "Labels:       a=b",
    ):
        assert f"{line}\n" in out
    assert "s3cret" not in out
