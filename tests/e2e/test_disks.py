"""What a workspace's disk holds: copied in and out, kept in snapshots, and there while it is paused."""

import hashlib
import os
from pathlib import Path

import pytest
from tests.e2e.harness import Vendetta
from tests.testbed import Node

pytestmark = pytest.mark.root


@pytest.fixture
def web(vendetta: Vendetta, docker_node: Node, name: str) -> str:
    vendetta.add_node("gpu", docker_node)
    vendetta.create(name)
    return name


def inside(vendetta: Vendetta, workspace: str, script: str) -> str:
    return vendetta("workspace", "exec", workspace, "--", "sh", "-c", script).stdout


def test_trees_go_in_and_come_back(vendetta: Vendetta, web: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "sub").mkdir(parents=True)
    data = os.urandom(3 * 2**20)
    (site / "sub" / "data").write_bytes(data)
    (site / "run").write_text("#!/bin/sh\necho ran\n")
    (site / "run").chmod(0o755)
    (site / "link").symlink_to("sub/data")
    vendetta("workspace", "cp", str(site), f"{web}:/tmp")
    assert inside(vendetta, web, "/tmp/site/run; sha256sum < /tmp/site/link; readlink /tmp/site/link").split() == [
        *("ran", hashlib.sha256(data).hexdigest(), "-", "sub/data")
    ]
    inside(vendetta, web, "echo new > /tmp/site/made")
    (tmp_path / "back").mkdir()
    vendetta("workspace", "cp", f"{web}:/tmp/site", str(tmp_path / "back"))
    assert (tmp_path / "back" / "site" / "sub" / "data").read_bytes() == data
    assert (tmp_path / "back" / "site" / "made").read_text() == "new\n"
    assert os.readlink(tmp_path / "back" / "site" / "link") == "sub/data"
    # one file, under another name, over one that is there
    vendetta("workspace", "cp", str(site / "run"), f"{web}:/tmp/site/made")
    assert inside(vendetta, web, "/tmp/site/made") == "ran\n"
    vendetta("workspace", "cp", f"{web}:/tmp/site/made", str(tmp_path / "made"))
    assert (tmp_path / "made").read_text() == "#!/bin/sh\necho ran\n"
    problem = vendetta.problem("workspace", "cp", f"{web}:/none", str(tmp_path), status=1)
    assert problem["code"] == "path_not_found"
    vendetta("workspace", "cp", str(site), f"{web}:/no/such/place", status=1)


def test_a_snapshot_is_gone_back_to(vendetta: Vendetta, web: str) -> None:
    inside(vendetta, web, "echo good > /kept")
    vendetta("workspace", "snapshot", "create", web, "before")
    assert vendetta.problem("workspace", "snapshot", "create", web, "b/d", status=2)["code"] == "invalid_input"
    inside(vendetta, web, "echo bad > /kept; echo more > /later")
    (listed,) = vendetta.json("workspace", "snapshot", "list", web)
    assert listed["name"] == "before"
    running = vendetta.problem("workspace", "snapshot", "restore", web, "before", "--yes", status=4)
    assert running["code"] == "wrong_state"
    vendetta("workspace", "stop", web)
    vendetta("workspace", "snapshot", "restore", web, "none", "--yes", status=3)
    vendetta("workspace", "snapshot", "restore", web, "before", "--yes")
    vendetta("workspace", "start", web)
    assert inside(vendetta, web, "cat /kept; ls /later 2>&1 || true").split()[0] == "good"
    assert "later" not in inside(vendetta, web, "ls /")
    vendetta("workspace", "snapshot", "remove", web, "before", "--yes")
    assert vendetta.json("workspace", "snapshot", "list", web) == []
    vendetta("workspace", "remove", web, "--yes", "--force")


def test_paused_is_told_and_resumed(vendetta: Vendetta, web: str) -> None:
    vendetta("workspace", "pause", web)
    paused = vendetta.json("workspace", "status", web)
    assert (paused["state"], paused["reason"]) == ("stopped", "paused")
    vendetta("workspace", "pause", web)
    vendetta("workspace", "resume", web)
    resumed = vendetta.json("workspace", "status", web)
    assert (resumed["state"], resumed["reason"]) == ("running", None)
    assert inside(vendetta, web, "echo alive") == "alive\n"
