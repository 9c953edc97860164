"""The bed's registry serves nodes, holds answers back, and can ask who is there."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.testbed import Node, Registry

pytestmark = pytest.mark.root


def pull(node: Node, image: str) -> "subprocess.CompletedProcess[str]":
    return node.run(["docker", "pull", "-q", image], check=False)


def test_a_pull_of_what_is_there_and_what_is_not(docker_node: Node, registry: Registry) -> None:
    image = registry.image()
    assert pull(docker_node, image).stdout.strip() == image
    assert docker_node.run(["docker", "run", "--rm", image, "echo", "hi"]).stdout == "hi\n"
    assert "not found" in pull(docker_node, f"{registry.address}/nothing:latest").stderr


def test_a_held_pull_waits_for_its_release(docker_node: Node, registry: Registry) -> None:
    image = registry.image("held", blobs_held=True)
    with ThreadPoolExecutor(1) as background:
        pulling = background.submit(pull, docker_node, image)
        registry.wait_for_held_request()
        assert not pulling.done()
        registry.release()
        assert pulling.result(60).returncode == 0


def test_credentials_are_demanded(docker_node: Node, private_registry: Registry) -> None:
    image = private_registry.image()
    assert "no basic auth credentials" in pull(docker_node, image).stderr
    assert private_registry.credentials
    user, password = private_registry.credentials
    login = ["docker", "--config", "/tmp/docker", "login", "-u", user, "--password-stdin", private_registry.address]
    docker_node.run(login, input=password)
    assert docker_node.run(["docker", "--config", "/tmp/docker", "pull", "-q", image]).stdout.strip() == image
