"""`vendetta node doctor`, as people and programs use it."""

import json
from typing import Any

from tests.conftest import NodeFactory
from tests.e2e.harness import Vendetta
from tests.testbed import Node

TWO_LINES = "AllowTcpForwarding yes\\nAllowStreamLocalForwarding yes"


def examine(vendetta: Vendetta, name: str, *, status: int) -> dict[str, dict[str, Any]]:
    """The checks by name."""
    report = json.loads(vendetta("-o", "json", "node", "doctor", name, status=status).stdout)
    return {check["name"]: check for check in report["checks"]}


def test_a_node_that_is_well(vendetta: Vendetta, docker_node: Node) -> None:
    vendetta.add_node("gpu", docker_node)
    done = vendetta("node", "doctor", "gpu")
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if "   " in line}
    needed = ("login", "host-key", "forward-tcp", "forward-unix", "sessions", "terminal", "shell", "docker")
    assert {rows[name] for name in needed} == {"ok"}
    assert {"sudo", "kvm", "disk", "memory", "clock", "round-trip"} <= set(rows)
    assert "node gpu: " in done.stderr
    report = vendetta.json("node", "doctor", "gpu")
    assert report["node"] == "gpu"
    assert set(report) == {"node", "at", "seconds", "checks"}


def test_a_failure_is_exit_1_with_the_command_that_mends_it(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="nopasswd")
    vendetta.add_node("gpu", node)
    done = vendetta("node", "doctor", "gpu", status=1)
    assert "docker" in vendetta("-o", "name", "node", "doctor", "gpu", status=1).stdout.split()
    mend = next(line.strip() for line in done.stdout.splitlines() if "usermod -aG docker" in line)
    vendetta("node", "exec", "gpu", "--", "sh", "-c", mend)
    vendetta("node", "disconnect", "gpu")  # groups are of a login
    assert examine(vendetta, "gpu", status=0)["docker"]["state"] == "ok"


def test_a_warning_for_several_checks_is_mended_by_one_command(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True, sudo="nopasswd")
    vendetta.add_node("gpu", node)
    node.write_sshd_config({"AllowTcpForwarding": "no"})
    vendetta("node", "disconnect", "gpu")
    done = vendetta("node", "doctor", "gpu")
    assert "forward-tcp" in vendetta("-o", "name", "node", "doctor", "gpu").stdout.split()
    mend = next(line.strip() for line in done.stdout.splitlines() if TWO_LINES in line)
    assert done.stdout.count(mend) == 1
    vendetta("node", "exec", "gpu", "--", "sh", "-c", mend)
    vendetta("node", "disconnect", "gpu")
    node.restart_sshd()
    assert examine(vendetta, "gpu", status=0)["forward-tcp"]["state"] == "ok"


def test_a_machine_that_is_off_has_a_report_too(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node()
    vendetta.add_node("gpu", node)
    node.kill()
    found = examine(vendetta, "gpu", status=1)
    assert [name for name, check in found.items() if check["state"] == "failure"] == ["route"]
    assert found["route"]["mend"]
    assert found["docker"]["state"] == "skipped"


def test_adding_a_node_tells_what_keeps_it_from_being_of_use(vendetta: Vendetta, make_node: NodeFactory) -> None:
    node = make_node(docker=True, in_docker_group=False, sshd={"MaxSessions": "1"})
    argv = ("node", "add", "gpu", f"{node.user}@{node.address}", "--accept-new", "--identity", str(node.key))
    done = vendetta(*argv)
    assert "failure: docker: user dev may not use /var/run/docker.sock" in done.stderr
    assert "  sudo usermod -aG docker dev\n" in done.stderr
    assert "warning: sessions: 1 at once" in done.stderr
    assert "kvm" not in done.stderr


def test_a_node_that_nobody_knows(vendetta: Vendetta) -> None:
    assert vendetta.problem("node", "doctor", "nowhere", status=3)["code"] == "node_not_found"
