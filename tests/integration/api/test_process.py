"""The server as a process: one a home, ready when it says so, ended cleanly, its log in JSON."""

import json
import signal
import socket
import stat
import subprocess
import time
from contextlib import closing
from typing import Any

import httpx
import pytest
from tests.integration.api.home import Home

PATIENCE_SECONDS = 60.0


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[dict[str, Any]]]:
    """Its exit status, and the rest of its log."""
    _, log = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, [json.loads(line) for line in log.splitlines()]


def test_both_listeners_serve_and_end_together(home: Home) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as stale:
        stale.bind(str(home.socket))
    process = home.start(VENDETTA_LISTEN_ADDRESS="127.0.0.1:0")
    ready = home.wait_until_ready(process)
    assert ready["pid"] == process.pid
    private, by_tcp = ready["listen"]
    assert private == f"unix://{home.socket}"
    assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    with home.client() as client:
        assert client.get("/api/v1/nodes").json()["items"] == []
        assert httpx.get(f"{by_tcp}/api/v1/nodes", trust_env=False).status_code == 401
        secret = client.post("/api/v1/tokens", json={"name": "ci"}).json()["secret"]
        authorization = {"Authorization": f"Bearer {secret}"}
        assert httpx.get(f"{by_tcp}/api/v1/nodes", headers=authorization, trust_env=False).status_code == 200
        with client.stream("GET", "/api/v1/events", headers={"Accept": "text/event-stream"}) as events:
            lines = events.iter_lines()
            assert next(lines) == "retry: 1000"
            process.send_signal(signal.SIGTERM)
            assert ": the server is stopping" in list(lines)
    status, log = ended(process)
    assert (status, [entry["event"] for entry in log][-2:]) == (0, ["stopping", "stopped"])
    assert not home.socket.exists()
    assert secret not in json.dumps(log)


def test_one_server_however_many_start(home: Home) -> None:
    racing = [home.start() for _ in range(4)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(process.poll() is None for process in racing) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    [winner] = [process for process in racing if process.poll() is None]
    home.wait_until_ready(winner)
    for loser in racing:
        if loser is not winner:
            status, [entry] = ended(loser)
            assert (status, entry["event"]) == (0, "another server is running")
    # killed as a power cut would: neither the lock nor the socket that stays is in the way of the next
    winner.kill()
    ended(winner)
    assert home.socket.exists()
    following = home.start()
    home.wait_until_ready(following)
    with home.client() as client:
        assert client.get("/readyz").json() == {"status": "ready"}
    following.send_signal(signal.SIGINT)
    assert ended(following)[0] == 0


def test_who_asks_twice_does_not_wait_for_what_runs(home: Home) -> None:
    process = home.start()
    home.wait_until_ready(process)
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.connect(str(home.socket))
        asking.sendall(b"POST /api/v1/nodes HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert asking.recv(100).startswith(b"HTTP/1.1 100 "), "it waits for the rest"
        process.send_signal(signal.SIGTERM)
        home.wait_until_refusing()
        process.send_signal(signal.SIGTERM)
        status, log = ended(process)
    assert (status, log[-1]["event"]) == (1, "stopped at once: asked twice")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"VENDETTA_MAX_IDLE": "soon"}, "max_idle"),
        ({"VENDETTA_LOG_LEVEL": "loud"}, "VENDETTA_LOG_LEVEL"),
        ({"VENDETTA_HOME": "/proc/nowhere"}, "/proc/nowhere"),
        ({"VENDETTA_HOME": "{home}/" + "long" * 30}, "longer than 107 bytes"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(home: Home, environment: dict[str, str], said: str) -> None:
    status, [entry] = ended(home.start(**{key: value.format(home=home.path) for key, value in environment.items()}))
    assert (status, entry["event"]) == (2, "can't start")
    assert said in entry["error"]
    assert "exception" not in entry
