"""What providers say of themselves, and what of ours is on a node."""

from typing import Any

from jsonschema_rs import Draft202012Validator
from tests.unit.api.conftest import Served
from tests.unit.client.samples import BELONGING

from vendetta.coordination.requests import NodeCleanupRequest

PROVIDERS = "/api/v1/providers"


async def schema_of(served: Served, kind: str, action: str) -> dict[str, Any]:
    described = (await served.local.get(f"{PROVIDERS}/{kind}")).json()
    (found,) = (one["config"] for one in described["actions"] if one["name"] == action)
    return dict(found)


async def test_every_provider_is_described(served: Served) -> None:
    found = {one["kind"]: one for one in (await served.local.get(PROVIDERS)).json()["items"]}
    assert set(found) == {"docker", "memory"}
    assert "snapshots" in found["docker"]["powers"]
    actions = {kind: {one["name"] for one in described["actions"]} for kind, described in found.items()}
    assert actions["docker"] - actions["memory"] == {"cleanup"}
    assert {"create", "start", "stop", "restart", "remove", "status", "list", "exec", "logs", "stats"} < actions[
        "memory"
    ]


async def test_an_unknown_one_is_told_with_the_nearest(served: Served) -> None:
    answer = await served.local.get(f"{PROVIDERS}/dokcer")
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_provider")
    assert 'Did you mean "docker"' in answer.json()["detail"]


async def test_a_schema_takes_what_the_provider_takes(served: Served) -> None:
    schema = Draft202012Validator(await schema_of(served, "docker", "create"))
    good = {"image": "busybox", "memory": "512M", "cpus": 0.5, "options": {"privileged": True, "restart": "always"}}
    assert schema.is_valid(good)
    for wrong in (
        {},
        {**good, "disk": "1G"},
        {**good, "imgae": "x"},
        {**good, "options": {"privileegd": "true"}},
        {**good, "options": {"restart": "sometimes"}},
        {**good, "mounts": [{"source": "/a"}]},
    ):
        assert not schema.is_valid(wrong), wrong


async def test_the_actions_of_a_schema_take_their_own(served: Served) -> None:
    stop = Draft202012Validator(await schema_of(served, "docker", "stop"))
    assert stop.is_valid({"timeout_seconds": 3})
    assert not stop.is_valid({"timeout": 3})
    assert Draft202012Validator(await schema_of(served, "docker", "start")).is_valid({})


async def test_what_is_ours_on_a_node(served: Served) -> None:
    found = (await served.local.get("/api/v1/nodes/gpu/belongings")).json()
    assert [(one["kind"], one["name"], one["in_use"]) for one in found["items"]] == [("volume", "data", False)]
    absent = await served.local.get("/api/v1/nodes/nowhere/belongings")
    assert (absent.status_code, absent.json()["code"]) == (404, "node_not_found")


async def test_it_is_taken_away_by_an_operation(served: Served) -> None:
    body = {"workspaces": True, "only": [BELONGING.id]}
    answer = await served.local.post("/api/v1/nodes/gpu/cleanup", json=body, headers={"Idempotency-Key": "once"})
    assert (answer.status_code, answer.json()["kind"]) == (202, "node.cleanup")
    [(kind, node, request, ask)] = served.services.changes.asked
    assert (kind, node, ask.key) == ("node.cleanup", "gpu", "once")
    assert request == NodeCleanupRequest(workspaces=True, only=["v1"])
