"""Programs that people use Docker with, on a node's engine by its socket here: docker-py, testcontainers, compose."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root

DOCKER_PY = """
import docker, io, sys, tarfile
name = sys.argv[1]
client = docker.from_env()
assert client.ping()
assert client.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\\n"
web = client.containers.run("busybox", ["sleep", "600"], name=name, detach=True)
try:
    assert web.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"], demux=True) == (3, (b"out\\n", b"err\\n"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("note")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    assert web.put_archive("/tmp", buffer.getvalue())
    assert web.exec_run(["cat", "/tmp/note"]).output == b"hello"
    sock = web.attach_socket(params={"stdin": 1, "stream": 1})
    sock.close()
    assert web.stats(stream=False)["name"] == f"/{name}"
finally:
    web.remove(force=True)
client.close()
"""

TESTCONTAINERS = """
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
box = DockerContainer("busybox").with_command(["sh", "-c", "echo ready; sleep 600"])
with box.waiting_for(LogMessageWaitStrategy("ready")) as started:
    assert started.exec(["echo", "hi"]).output == b"hi\\n"
    assert b"ready" in started.get_logs()[0]
"""

COMPOSE = """
version: "3.4"
services:
  store:
    image: busybox
    command: ["sh", "-c", "echo kept >/data/file; exec sleep 600"]
    volumes: ["data:/data"]
volumes:
  data:
"""


@pytest.fixture
def surroundings(vendetta: Vendetta, docker_node: Node, tmp_path: Path) -> dict[str, str]:
    vendetta.add_node("gpu", docker_node)
    environment = vendetta.json("node", "env", "gpu")["environment"]
    quiet = {"TESTCONTAINERS_RYUK_DISABLED": "true"}  # its reaper is an image from a registry
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **quiet, **environment}


def run(argv: list[str], env: dict[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_docker_py(surroundings: dict[str, str], name: str) -> None:
    run([sys.executable, "-c", DOCKER_PY, name], surroundings)


def test_testcontainers(surroundings: dict[str, str]) -> None:
    run([sys.executable, "-c", TESTCONTAINERS], surroundings)


def test_compose(surroundings: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    compose = ["docker-compose", "--project-name", name]
    try:
        run([*compose, "up", "-d"], surroundings, tmp_path)
        look = ["exec", "-T", "store", "sh", "-c", "until cat /data/file; do sleep 0.1; done 2>/dev/null"]
        assert run([*compose, *look], surroundings, tmp_path) == "kept\n"
    finally:
        run([*compose, "down", "--volumes", "--timeout", "0"], surroundings, tmp_path)
