"""The server is killed at every boundary of every kind of operation, and at random moments, on real engines.

Each kill is followed by a start, after which the operation has ended as it would have: everything once, and no orphan.
"""

import random
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import NodeFactory
from tests.integration.operations.victim import Victim, victim
from tests.testbed import Node, Registry
from tests.testbed.images import build_root

from vendetta.providers.docker.labels import OWNER, WORKSPACE

pytestmark = [pytest.mark.root, pytest.mark.timeout(600), pytest.mark.alone]

RANDOM_KILLS = 20
LONGEST_SECONDS = 0.8
"""About what an operation takes here: later kills would hit a server at rest."""
BUSYBOX: Mapping[str, Any] = {"provider": "docker", "image": "busybox"}
DONE = "succeeded"

LIFE = ("pause", "resume", "snapshot", "restart", "stop", "restore", "remove-snapshot", "start")
"""Of a workspace, in an order in which each can be."""
STATES = {"pause": "stopped", "stop": "stopped", "restore": "stopped", "remove-snapshot": "stopped"}
KILLED = {
    *(f"workspace.{verb}" for verb in (*LIFE, "create", "remove", "resize", "move")),
    *("node.execute", "node.drain", "node.undrain", "node.cleanup"),
    *("image.push", "image.pull", "image.remove", "key.rotate"),
}
"""The kinds that the tests here are about."""


@pytest.fixture
def name() -> str:
    return f"killed-{uuid.uuid4().hex[:8]}"


def test_every_kind_of_operation_is_killed_here() -> None:
    with victim({}) as server:
        assert set(server.told["kinds"]) == KILLED


def check(server: Victim, workspaces: Mapping[str, tuple[str, str]]) -> None:
    """Where they are and their states: as recorded, and one instance of each where it says, and nowhere else."""
    assert server.told["workspaces"] == workspaces, server.told
    instances = [one for one in server.told["belongings"] if "instance" in one]
    assert instances == sorted(f"{node} instance {name}" for name, (node, _) in workspaces.items()), server.told


def written(node: Node, name: str) -> int:
    """How often its program has run, as its disk tells, whether it runs or not."""
    return node.run(["docker", "cp", f"vendetta-{name}:/ran", "-"]).stdout.count("x\n")


def test_a_workspaces_life(docker_node: Node, name: str) -> None:
    with victim({"gpu": docker_node}) as server:
        for outcomes in server.kill_everywhere("workspace.create", name, BUSYBOX):
            assert outcomes == {"workspace.create": DONE}
            check(server, {name: ("gpu", "running")})
            server.do("workspace.remove", name)
            assert server.told["belongings"] == []
        server.do("workspace.create", name, BUSYBOX)
        server.do("node.execute", "gpu", {"workspace": name})
        for verb in LIFE:
            for outcomes in server.kill_everywhere(f"workspace.{verb}", name):
                assert outcomes == {f"workspace.{verb}": DONE}
                check(server, {name: ("gpu", STATES.get(verb, "running"))})
                assert written(docker_node, name) == 1, verb
        for outcomes in server.kill_everywhere("workspace.remove", name):
            assert outcomes == {"workspace.remove": DONE}
            assert (server.told["workspaces"], server.told["belongings"]) == ({}, [])
            server.do("workspace.create", name, BUSYBOX)
        server.do("workspace.remove", name)


def test_a_program_is_run_once_at_most(docker_node: Node, name: str) -> None:
    with victim({"gpu": docker_node}) as server:
        server.do("workspace.create", name, BUSYBOX)
        server.do("node.execute", "gpu", {"workspace": name})
        ran, unknown = 1, 0
        for outcomes in server.kill_everywhere("node.execute", "gpu", {"workspace": name}):
            before, ran = ran, written(docker_node, name)
            if outcomes == {"node.execute": DONE}:
                assert ran == before + 1
            else:
                assert outcomes == {"node.execute": "outcome_unknown"}
                assert ran in (before, before + 1)
                unknown += 1
        assert unknown == 2, "before it ran, and after"
        server.do("workspace.remove", name)


def test_what_fails_is_undone(docker_node: Node, name: str, registry: Registry) -> None:
    with victim({"gpu": docker_node}) as server:
        absent = {"provider": "docker", "image": f"{registry.address}/absent"}
        for outcomes in server.kill_everywhere("workspace.create", name, absent):
            assert outcomes == {"workspace.create": "image_not_found"}
            assert (server.told["workspaces"], server.told["belongings"]) == ({}, [])


def test_images(docker_node: Node, name: str, registry: Registry, tmp_path: Path) -> None:
    def images() -> set[str]:
        listed = docker_node.run(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]).stdout
        return set(listed.split()) & {pulled, f"{name}:latest"}

    pulled = registry.image()
    pushed = {"name": name, "file": str(tmp_path / "root.tar")}
    (tmp_path / "root.tar").write_bytes(build_root())
    with victim({"gpu": docker_node}) as server:
        uploads = server.home / "v" / "uploads"
        for outcomes in server.kill_everywhere("image.pull", "gpu", {"name": pulled}):
            assert (outcomes, images()) == ({"image.pull": DONE}, {pulled})
            server.do("image.remove", "gpu", {"name": pulled})
        for outcomes in server.kill_everywhere("image.push", "gpu", pushed):
            assert (outcomes, images()) == ({"image.push": DONE}, {f"{name}:latest"})
            assert list(uploads.iterdir()) == []
            server.do("image.remove", "gpu", {"name": name})
        server.do("image.push", "gpu", pushed)
        for outcomes in server.kill_everywhere("image.remove", "gpu", {"name": name}):
            assert (outcomes, images()) == ({"image.remove": DONE}, set())
            server.do("image.push", "gpu", pushed)
        server.do("image.remove", "gpu", {"name": name})


def test_a_disk_grows(docker_node: Node, name: str) -> None:
    """A VM's, which doesn't run."""
    image = f"/home/{docker_node.user}/{name}"
    docker_node.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "1M"])
    docker_node.run(["chown", docker_node.user, image])
    has, given = 1, {"disk": "2M"}
    with victim({"gpu": docker_node}, "qemu") as server:
        made = {"provider": "qemu", "image": image, "start": False}
        server.do("workspace.create", name, made)
        for outcomes in server.kill_everywhere("workspace.resize", name, given):
            has += 1
            assert outcomes == {"workspace.resize": DONE}
            check(server, {name: ("gpu", "stopped")})
            [disk] = docker_node.run(["find", "/home", "-path", f"*/{name}/disk*", "-name", "*.qcow2"]).stdout.split()
            assert f"{has} MiB" in docker_node.run(["qemu-img", "info", disk]).stdout
            given["disk"] = f"{has + 1}M"
        server.do("workspace.remove", name)


def test_a_workspace_moves(docker_node: Node, make_node: NodeFactory, name: str) -> None:
    nodes = {"gpu": docker_node, "spare": make_node(docker=True)}
    here, there = nodes
    with victim(nodes) as server:
        server.do("workspace.create", name, {**BUSYBOX, "node": here})
        server.do("node.execute", here, {"workspace": name})
        for outcomes in server.kill_everywhere("workspace.move", name):
            here, there = there, here
            assert outcomes == {"workspace.move": DONE}
            check(server, {name: (here, "running")})
            assert written(nodes[here], name) == 1
        server.do("workspace.remove", name)
        assert server.told["belongings"] == []


def test_a_node_is_drained(docker_node: Node, name: str) -> None:
    with victim({"gpu": docker_node}) as server:
        server.do("workspace.create", name, BUSYBOX)
        for outcomes in server.kill_everywhere("node.drain", "gpu"):
            assert outcomes == {"node.drain": DONE, "workspace.stop": DONE}
            check(server, {name: ("gpu", "stopped")})
            server.do("node.undrain", "gpu")
        server.do("node.drain", "gpu")
        for outcomes in server.kill_everywhere("node.undrain", "gpu"):
            assert outcomes == {"node.undrain": DONE, "workspace.start": DONE}
            check(server, {name: ("gpu", "running")})
            server.do("node.drain", "gpu")
        server.do("workspace.remove", name)


def test_a_node_is_cleaned_up(docker_node: Node, name: str) -> None:
    """Of a workspace with a snapshot, and of an instance that no workspace stands for."""
    orphan = ["docker", "create", "--name", f"{name}-orphan", "--label", f"{WORKSPACE}=gone"]
    with victim({"gpu": docker_node}) as server:
        orphan += ["--label", f"{OWNER}={server.told['server']}", "busybox"]

        def litter() -> None:
            server.do("workspace.create", name, BUSYBOX)
            server.do("workspace.snapshot", name)
            docker_node.run(orphan)

        litter()
        for outcomes in server.kill_everywhere("node.cleanup", "gpu"):
            assert outcomes == {"node.cleanup": DONE, "workspace.remove": DONE}
            assert (server.told["workspaces"], server.told["belongings"]) == ({}, [])
            litter()
        server.do("node.cleanup", "gpu")


def test_the_servers_key_is_changed(make_node: NodeFactory) -> None:
    node = make_node()
    own = node.authorized_keys()
    with victim({"gpu": node}, None) as server:
        keys = server.home / "v" / "keys"
        known = set[str]()
        for outcomes in server.kill_everywhere("key.rotate", "server"):
            assert outcomes == {"key.rotate": DONE}
            assert {file.name for file in keys.iterdir()} == {"id_ed25519", "id_ed25519.pub"}
            public = (keys / "id_ed25519.pub").read_text()
            assert public not in known, "it is as it was"
            known.add(public)
            assert node.authorized_keys().replace(own, "").split()[:2] == public.split()[:2]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_killed_at_random_moments(docker_node: Node, name: str, seed: int) -> None:
    chance = random.Random(seed)
    with victim({"gpu": docker_node}) as server:
        for _ in range(RANDOM_KILLS):
            there = bool(server.told["workspaces"])
            verb = chance.choice(LIFE) if there and chance.random() < 0.8 else ("remove" if there else "create")
            given = BUSYBOX if verb == "create" else {}
            server.kill_within(chance.uniform(0.0, LONGEST_SECONDS), f"workspace.{verb}", name, given)
            workspaces = server.told["workspaces"]
            assert {state for _, state in workspaces.values()} <= {"running", "stopped"}, seed
            check(server, workspaces)
        if server.told["workspaces"]:
            server.do("workspace.remove", name)
        assert server.told["belongings"] == [], seed
        assert server.kills == RANDOM_KILLS
