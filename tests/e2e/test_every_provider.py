"""The same commands on each technology, on three nodes of one server: a workspace made, used and taken away."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.contract.images import build_system_root
from tests.e2e.harness import Vendetta, fresh_vendetta
from tests.testbed import Node, TestBed
from tests.testbed.guests import Guest, build_guest
from tests.testbed.images import build_root

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Technology:
    """`node` has it, and `image` writes a file that holds an image for it, to be made with `options`."""

    provider: str
    node: str
    word: str
    image: Callable[[Path], Path]
    options: dict[str, str] = field(default_factory=dict)


def write(content: bytes, path: Path) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def guest() -> Guest:
    return build_guest()


@pytest.fixture(scope="module")
def nodes(bed: TestBed) -> dict[str, Node]:
    return {
        "one": bed.node(docker=True),
        "two": bed.node(engines=["incus"], groups=["incus-admin"]),
        "three": bed.node(),
    }


@pytest.fixture(scope="module")
def user(nodes: dict[str, Node]) -> Iterator[Vendetta]:
    with fresh_vendetta() as vendetta:
        for name, node in nodes.items():
            vendetta.add_node(name, node)
        yield vendetta


@pytest.fixture(params=["docker", "lxc", "qemu"])
def technology(request: pytest.FixtureRequest, guest: Guest) -> Technology:
    direct = {"kernel": "kernel", "initrd": "initrd", "append": guest.append, "user": "root", "accel": "tcg"}
    return {
        "docker": Technology("docker", "one", "docker", lambda folder: write(build_root(), folder / "root.tar")),
        "lxc": Technology("lxc", "two", "incus", lambda folder: write(build_system_root(), folder / "root.tar")),
        "qemu": Technology("qemu", "three", "qemu", lambda _: guest.disk, direct),
    }[request.param]


def give_image(user: Vendetta, technology: Technology, guest: Guest, folder: Path) -> None:
    given = {"given": technology.image(folder)}
    if technology.provider == "qemu":
        given |= {"kernel": guest.kernel, "initrd": guest.initrd}
    for name, path in given.items():
        user("image", "push", technology.node, name, str(path), "--provider", technology.provider)
    held = {one["name"] for one in user.json("image", "list", technology.node, "-p", technology.provider)}
    assert given.keys() <= {name.removesuffix(":latest") for name in held}


def test_each_node_knows_what_it_has(user: Vendetta, technology: Technology) -> None:
    node = user.json("node", "status", technology.node)
    assert technology.word in node["capabilities"]
    assert node["providers"][technology.provider]["state"] == "healthy"
    assert node["providers"][technology.provider]["version"]
    assert node["room"]["memory_bytes"] > 0


def test_create_up_status_exec_stop_remove(
    user: Vendetta, technology: Technology, guest: Guest, name: str, tmp_path: Path
) -> None:
    give_image(user, technology, guest, tmp_path)
    options = [f"--set={key}={value}" for key, value in technology.options.items()]
    where = ("--provider", technology.provider, "--node", technology.node)
    user("workspace", "create", name, *where, "--image", "given", "--memory", "96M", "--no-start", *options)
    assert user.json("workspace", "status", name)["state"] == "stopped"
    user("workspace", "start", name)
    status = user.json("workspace", "status", name)
    assert (status["state"], status["node"], status["provider"]) == ("running", technology.node, technology.provider)
    said = user("workspace", "exec", name, "--", "sh", "-c", "hostname; exit 7", status=7)
    assert said.stdout == f"{name}\n"
    echoed = user("workspace", "exec", name, "-i", "--", "cat", input="there and back")
    assert echoed.stdout == "there and back"
    (tmp_path / "sent").write_text("by cp")
    user("workspace", "cp", str(tmp_path / "sent"), f"{name}:/tmp")
    assert user("workspace", "exec", name, "--", "cat", "/tmp/sent").stdout == "by cp"
    assert user.json("workspace", "stats", name)["memory_bytes"] > 0
    user("workspace", "stop", name)
    assert user.json("workspace", "status", name)["state"] == "stopped"
    user("workspace", "remove", name, "--yes")
    assert user.problem("workspace", "status", name, status=3)["code"] == "workspace_not_found"
    assert user.json("node", "cleanup", technology.node, "--dry-run", "-p", technology.provider) == []
    everything = user.json("node", "cleanup", technology.node, "--dry-run", "--all", "-p", technology.provider)
    assert {one["kind"] for one in everything} <= {"image"}


def test_up_and_down_by_execute(
    user: Vendetta, technology: Technology, guest: Guest, name: str, tmp_path: Path
) -> None:
    give_image(user, technology, guest, tmp_path)
    config = json.dumps({"image": "given", "memory": "96M", "options": technology.options})
    execute = ("execute", technology.node, technology.provider)
    up = user.json(*execute, "up", "--workspace", name, "--config", config)
    assert (up["success"], up["metadata"]["state"]) == (True, "running")
    assert name in user(*execute, "list").stdout
    ran = user.json(*execute, "exec", "--workspace", name, "--config", '{"argv": ["echo", "hi"]}')
    assert ran["metadata"] == {"exit_status": 0, "stdout": "hi\n", "stderr": ""}
    assert user.json(*execute, "down", "--workspace", name)["metadata"]["state"] == "stopped"
    user(*execute, "remove", "--workspace", name)
    assert name not in user(*execute, "list").stdout
