"""vendetta provider, and vendetta node cleanup."""

import json
from dataclasses import replace

import msgspec
import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply, items, sse
from tests.unit.client.samples import BELONGING, OPERATION, operation

from vendetta.cli.engines.provider import build_rows
from vendetta.coordination.commands.descriptions import Descriptions
from vendetta.errors import OutOfResources
from vendetta.models import CleanupResult, Problem
from vendetta.providers.docker import DockerProvider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology

DOCKER = Descriptions(Registry(Technology.of(DockerProvider))).get("docker")
USED = replace(BELONGING, kind="instance", id="c1", name="vendetta-web", workspace="web", in_use=True)
CLEANUP = "/nodes/gpu/cleanup"


@pytest.fixture
def described(fake: FakeServer) -> FakeServer:
    fake.routes |= {"GET /providers": items(DOCKER), "GET /providers/docker": DOCKER}
    return fake


@pytest.fixture
def dirty(fake: FakeServer) -> FakeServer:
    ended = replace(operation("succeeded"), result=msgspec.to_builtins(CleanupResult(removed=[BELONGING])))
    fake.routes |= {
        "GET /nodes/gpu/belongings": items(BELONGING, USED),
        f"POST {CLEANUP}": Reply(202, OPERATION),
        f"GET /operations/{OPERATION.id}/watch": sse(OPERATION, ended),
        f"GET /operations/{OPERATION.id}": ended,
    }
    return fake


def test_list_and_show(described: FakeServer, cli: Cli) -> None:
    listed = cli("provider", "list").out
    assert listed.splitlines()[1].startswith("docker")
    assert "snapshots" in listed
    shown = cli("provider", "show", "docker").out
    for word in ("Actions:", "cleanup", "cap_add", "Docker can't limit the disk"):
        assert word in shown


def test_an_actions_keys(described: FakeServer, cli: Cli) -> None:
    shown = cli("provider", "show", "docker", "create")
    rows = {line.split()[0]: line for line in shown.out.splitlines()}
    assert "required" in rows["image"]
    assert "text" in rows["image"]
    assert "number or text" in rows["memory"]
    assert "no | on-failure | always | unless-stopped" in rows["options.restart"]
    assert "list of object" in rows["mounts"]
    assert "required" in rows["mounts[].source"]
    assert "disk" not in rows
    assert shown.err.startswith("docker create: Create a workspace")
    schema = json.loads(cli("provider", "show", "docker", "create", "-o", "json").out)
    assert schema["properties"]["options"]["additionalProperties"] is False


def test_an_unknown_action(described: FakeServer, cli: Cli) -> None:
    ended = cli("provider", "show", "docker", "craete")
    assert (ended.status, 'Did you mean "create"' in ended.err) == (2, True)


def test_rows_of_nothing() -> None:
    assert list(build_rows({"type": "object", "properties": {}})) == []


def test_what_is_in_use_stays(dirty: FakeServer, cli: Cli) -> None:
    ended = cli("node", "cleanup", "gpu", "--yes")
    assert ended.status == 0
    assert [line.split()[1] for line in ended.out.splitlines()[:-1]] == ["NAME", "data"]
    assert ended.out.splitlines()[-1] == "1 thing removed from node gpu"
    assert dirty.asked(f"POST {CLEANUP}")[0].body == {"provider": None, "workspaces": False, "only": ["v1"]}


def test_everything_goes_if_asked_for(dirty: FakeServer, cli: Cli) -> None:
    assert cli("node", "cleanup", "gpu", "--all", "--yes", "-o", "json").status == 0
    assert dirty.asked(f"POST {CLEANUP}")[0].body == {"provider": None, "workspaces": True, "only": ["v1", "c1"]}


def test_without_a_yes_nothing_goes(dirty: FakeServer, cli: Cli) -> None:
    assert cli("node", "cleanup", "gpu").status == 2
    shown = cli("node", "cleanup", "gpu", "--dry-run", "--all", "-o", "json")
    assert [one["id"] for one in json.loads(shown.out)] == ["v1", "c1"]
    assert dirty.asked(f"POST {CLEANUP}") == []


def test_nothing_to_remove(dirty: FakeServer, cli: Cli) -> None:
    dirty.routes["GET /nodes/gpu/belongings"] = items(USED)
    ended = cli("node", "cleanup", "gpu")
    assert (ended.status, ended.out) == (0, "0 things removed from node gpu\n")


def test_several_nodes_are_asked_about_once(dirty: FakeServer, cli: Cli) -> None:
    failed = operation("failed", error=Problem.from_error(OutOfResources("no")))
    dirty.routes |= {
        "GET /nodes/lab/belongings": dirty.routes["GET /nodes/gpu/belongings"],
        "GET /nodes/empty/belongings": items(USED),
        "POST /nodes/lab/cleanup": failed,
    }
    refused = cli("node", "cleanup", "gpu", "lab", "empty")
    assert (refused.status, "2 things of node gpu, lab" in refused.err) == (2, True)
    ended = cli("node", "cleanup", "gpu", "lab", "empty", "--yes")
    assert ended.status == 1
    assert ended.out.splitlines()[-2:] == ["1 thing removed from node gpu", "0 things removed from node empty"]
    assert ended.err == "node gpu:\nnode lab:\nerror: lab: no\n"
