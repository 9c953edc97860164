"""`node socket` and `node env`: a node's engine on this machine, used by docker's own command line."""

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root

KIBIBYTES = 4096


def docker(path: str, *argv: str, input: bytes | None = None, status: int = 0) -> bytes:
    done = subprocess.run(
        ["docker", *argv],
        env={"PATH": os.environ["PATH"], "DOCKER_HOST": f"unix://{path}", "HOME": "/nonexistent"},
        input=input,
        capture_output=True,
        timeout=90,
    )
    assert done.returncode == status, done
    return done.stdout + done.stderr


@pytest.fixture
def path(vendetta: Vendetta, docker_node: Node) -> str:
    vendetta.add_node("gpu", docker_node)
    return vendetta("node", "socket", "gpu").stdout.strip()


def test_docker_runs_on_the_node_by_its_own_command_line(path: str, docker_node: Node, name: str) -> None:
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700
    before = docker_node.logins()
    data = os.urandom(1024) * KIBIBYTES
    # hijacked both ways: the end of the input has to arrive, and the output after it
    assert docker(path, "run", "--rm", "-i", "--name", f"{name}-cat", "busybox", "cat", input=data) == data
    assert docker(path, "run", "--rm", "busybox", "sh", "-c", "echo 7") == b"7\n"
    docker(path, "run", "--rm", "busybox", "sh", "-c", "exit 9", status=9)
    docker(path, "run", "-d", "--name", name, "busybox", "sh", "-c", "echo said; sleep 600")
    try:
        assert docker(path, "exec", name, "echo", "hi") == b"hi\n"
        with ThreadPoolExecutor(12) as callers:
            answers = list(callers.map(lambda number: docker(path, "exec", name, "echo", str(number)), range(24)))
        assert answers == [f"{number}\n".encode() for number in range(24)]
        assert docker(path, "logs", name) == b"said\n"
    finally:
        docker(path, "rm", "-f", name)
    assert docker_node.logins() == before


def test_it_comes_back_after_a_lost_link_and_a_restarted_server(
    vendetta: Vendetta, make_node: NodeFactory, name: str
) -> None:
    node = make_node(docker=True)
    vendetta.add_node("gpu", node)
    path = vendetta("node", "socket", "gpu", "docker").stdout.strip()
    logs = subprocess.Popen(["docker", "-H", f"unix://{path}", "events"], stdout=subprocess.PIPE)
    try:
        docker(path, "version")
        vendetta("node", "disconnect", "gpu")
        assert logs.wait(30) is not None
    finally:
        logs.kill()
        logs.communicate()
    docker(path, "version")
    vendetta("server", "stop")
    assert b"Cannot connect" in docker(path, "version", status=1)
    vendetta("node", "list")
    docker(path, "version")
    vendetta.kill_server()
    vendetta("node", "list")
    docker(path, "version")


def test_what_is_wrong_is_said_by_docker_too(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True)
    vendetta.add_node("gpu", node)
    path = vendetta("node", "socket", "gpu").stdout.strip()
    node.stop_engine("docker")
    assert b"node gpu" in docker(path, "ps", status=1)
    assert vendetta.problem("node", "socket", "gpu", "docker", status=1)["code"] == "engine_unavailable"


def test_a_shell_is_given_what_docker_needs(vendetta: Vendetta, path: str) -> None:
    for shell, option in (("bash", "sh"), ("fish", "fish"), ("tcsh", "csh")):
        lines = vendetta("node", "env", "gpu", "--shell", option).stdout
        undo = vendetta("node", "env", "gpu", "--shell", option, "--unset").stdout
        for script, expected in ((lines, f"unix://{path}\n"), (f"{lines}\n{undo}", "")):
            argv = [shell, "-c", f"{script}\nprintenv DOCKER_HOST"]
            assert subprocess.run(argv, capture_output=True, text=True).stdout == expected
    assert vendetta.json("node", "env", "gpu")["environment"] == {"DOCKER_HOST": f"unix://{path}"}


def test_many_who_open_it_at_once_get_the_same_one(vendetta: Vendetta, docker_node: Node) -> None:
    vendetta.add_node("gpu", docker_node)
    with ThreadPoolExecutor(6) as callers:
        paths = set(callers.map(lambda _: vendetta("node", "socket", "gpu").stdout.strip(), range(6)))
    (path,) = paths
    docker(path, "version")


def test_it_is_closed(vendetta: Vendetta, path: str) -> None:
    vendetta("node", "socket", "gpu", "--close")
    assert not Path(path).exists()
    vendetta("server", "stop")
    vendetta("node", "list")
    assert not Path(path).exists()
    assert vendetta("node", "socket", "gpu").stdout.strip() == path


def test_that_of_a_node_that_was_removed_goes(vendetta: Vendetta, path: str) -> None:
    vendetta("node", "remove", "gpu", "--yes")
    docker(path, "version", status=1)
    assert not Path(path).exists()


def test_engines_that_are_not_there(vendetta: Vendetta, make_node: NodeFactory) -> None:
    vendetta.add_node("bare", make_node())
    assert vendetta.problem("node", "socket", "bare", status=1)["code"] == "unsupported"
    assert vendetta.problem("node", "socket", "bare", "docker", status=1)["code"] == "engine_unavailable"
    assert vendetta.problem("node", "socket", "bare", "dokcer", status=2)["hint"]
    assert vendetta.problem("node", "socket", "nowhere", status=3)["code"] == "node_not_found"


def test_an_engine_is_asked_for_by_its_name(vendetta: Vendetta, docker_node: Node) -> None:
    vendetta.add_node("gpu", docker_node)
    assert vendetta("node", "socket", "gpu", "docker").stdout == vendetta("node", "socket", "gpu").stdout
    problem = vendetta.problem("node", "socket", "gpu", "podman", status=1)
    assert problem["code"] == "unsupported"
    assert "has no podman, but docker" in problem["detail"]
    assert vendetta.problem("node", "socket", "gpu", "dcoker", status=2)["code"] == "unknown_provider"
