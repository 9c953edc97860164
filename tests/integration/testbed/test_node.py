"""A node of the bed is a machine: it is logged in to, it runs containers, it is lost and comes back."""

import socket
import subprocess

import pytest
from tests.conftest import NodeFactory
from tests.testbed import Node

pytestmark = pytest.mark.root


def ssh(node: Node, *command: str, user: str | None = None) -> "subprocess.CompletedProcess[str]":
    known = f"UserKnownHostsFile={node.key.with_name('known_hosts')}"
    node.key.with_name("known_hosts").write_text(f"{node.address} {node.public_key()}\n")
    options = ["-F", "none", "-i", str(node.key), "-o", known, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    argv = ["ssh", *options, "-p", str(node.port), f"{user or node.user}@{node.address}", *command]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def reachable(node: Node, seconds: float) -> bool:
    try:
        socket.create_connection((node.address, node.port), seconds).close()
    except OSError:
        return False
    return True


def test_a_login_is_counted_and_sees_a_machine_of_its_own(make_node: NodeFactory) -> None:
    node = make_node()
    assert ssh(node, "hostname; id -un; ls /tmp").stdout.split() == [node.name, node.user]
    assert ssh(node, "id -u", user="root").stdout.strip() == "0"
    assert node.logins() == 2
    assert node.authorized_keys().startswith("ssh-ed25519 ")
    assert node.run(["cat", "/proc/1/comm"]).stdout == "bash\n"


def test_sshd_runs_with_any_configuration(make_node: NodeFactory) -> None:
    node = make_node(sshd={"MaxSessions": "1"}, port=2222, host_keys=("rsa", "ed25519"))
    assert ssh(node, "true").returncode == 0
    assert "maxsessions 1" in node.run(["/usr/sbin/sshd", "-T"]).stdout
    assert node.fingerprint_of("rsa") == node.host_key_fingerprint
    node.write_sshd_config({"AllowUsers": "nobody"})
    assert "Permission denied" in ssh(node, "true").stderr


def test_a_host_key_changes(make_node: NodeFactory) -> None:
    node = make_node()
    before = node.host_key_fingerprint
    node.change_host_key()
    assert node.host_key_fingerprint != before
    assert ssh(node, "true").returncode == 0


@pytest.mark.parametrize(("sudo", "status"), [(None, 1), ("password", 1), ("nopasswd", 0)])
def test_sudo_is_as_it_was_asked_for(make_node: NodeFactory, sudo: str | None, status: int) -> None:
    node = make_node(sudo=sudo)
    assert ssh(node, "sudo", "-n", "true").returncode == status
    given = f"echo {node.password} | sudo -S id -u"
    assert (ssh(node, given).stdout.strip() == "0") is (sudo is not None)


def test_a_link_is_cut_and_mended(make_node: NodeFactory) -> None:
    node = make_node()
    node.cut()
    assert not reachable(node, 0.3)
    node.mend()
    assert reachable(node, 30)


def test_a_link_is_slow_until_it_is_not(make_node: NodeFactory) -> None:
    node = make_node()
    for milliseconds in (5, 20, 0):
        node.delay(milliseconds)
        assert ssh(node, "head", "-c", "1000000", "/dev/zero").stdout.count("\0") == 1_000_000
    node.delay(5)
    node.kill()
    node.boot()
    assert reachable(node, 30)


def test_a_lost_machine_boots_with_what_was_on_its_disk(make_node: NodeFactory) -> None:
    node = make_node(docker=True)
    node.load_image("kept")
    node.run(["touch", "/tmp/gone"])
    before = node.host_key_fingerprint
    node.kill()
    assert not node.is_up
    assert not reachable(node, 0.3)
    node.boot()
    assert node.host_key_fingerprint == before
    assert node.run(["ls", "/tmp"]).stdout == ""
    assert "kept" in node.run(["docker", "images"]).stdout
    assert ssh(node, "docker", "run", "--rm", "kept", "echo", "back").stdout == "back\n"


def test_the_engine_stops_and_starts(make_node: NodeFactory) -> None:
    node = make_node(docker={"live-restore": True})
    node.load_image()
    container = node.run(["docker", "run", "-d", "busybox", "sleep", "1000"]).stdout.strip()
    node.stop_engine("docker")
    assert node.run(["docker", "ps"], check=False).returncode != 0
    node.start_engine("docker")
    node.restart_engine("docker")
    assert container.startswith(node.run(["docker", "ps", "-q"]).stdout.strip())


def test_the_engines_socket_is_for_its_group(make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False)
    assert "permission denied" in ssh(node, "docker", "ps").stderr
    assert node.docker_socket.is_socket()


def test_a_small_disk_fills_up(make_node: NodeFactory) -> None:
    node = make_node(docker=True, docker_disk_bytes=20 * 2**20)
    node.load_image()
    argv = ["docker", "run", "--rm", "busybox", "dd", "if=/dev/zero", "of=/full", "bs=1M"]
    assert "No space left on device" in node.run(argv, check=False).stderr
