"""How routes answer: what is waited for and what is not, and what becomes of what makes no sense."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from tests.unit.api.conftest import Served
from tests.unit.client.samples import OPERATION, WORKSPACE

from vendetta.errors import ImageNotFound

CREATE = {"name": "web", "provider": "docker", "image": "nginx"}
ADD = {"name": "n", "address": "h"}
MOUNT = {"source": "a", "target": "/"}
PENDING = msgspec.to_builtins(OPERATION)
MADE = msgspec.to_builtins(WORKSPACE)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"], found["code"]) == (status, status, code), found
    return found


@pytest.mark.parametrize("query", ["", "?wait=false", "?wait=0", "?wait=0.01"])
async def test_who_does_not_wait_gets_the_operation(served: Served, query: str) -> None:
    answer = await served.local.post(f"/api/v1/workspaces{query}", json=CREATE, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()) == (202, PENDING)
    [(verb, name, ask)] = served.services.workspaces.asked
    assert (verb, name, ask.key, ask.deadline_seconds) == ("create", "web", "k1", None)
    assert ask.actor.startswith("uid:")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "", 201, MADE),
        ("POST", "/web/start", 200, MADE),
        ("POST", "/web/stop", 200, MADE),
        ("POST", "/web/restart", 200, MADE),
        ("DELETE", "/web", 204, None),
    ],
)
@pytest.mark.parametrize("wait", ["20", "true"])
async def test_who_waits_gets_what_came_of_it(
    served: Served, method: str, path: str, status: int, body: Any, wait: str
) -> None:
    asking = asyncio.create_task(
        served.local.request(method, f"/api/v1/workspaces{path}?wait={wait}", json=CREATE if not path else None)
    )
    served.services.operations.release.set()
    answer = await asking
    assert answer.status_code == status
    assert (answer.json() if answer.content else None) == body


async def test_who_waits_gets_the_problem_of_what_failed(served: Served) -> None:
    served.services.operations.fail(ImageNotFound("there is no image nginx", hint="Name another."))
    answer = await served.local.post("/api/v1/workspaces?wait=20", json=CREATE)
    assert problem(answer, 502, "image_not_found")["hint"] == "Name another."


@pytest.mark.parametrize("path", ["/workspaces/web/start", "/operations/op1"])
async def test_who_waits_gets_the_operation_when_the_server_stops(served: Served, path: str) -> None:
    method = "GET" if "operations" in path else "POST"
    asking = asyncio.create_task(served.local.request(method, f"/api/v1{path}?wait=true"))
    await served.local.get("/healthz")
    served.services.stopping.set()
    assert (await asking).json() == PENDING


@pytest.mark.parametrize("wait", ["on", "-1", "nan", "inf", "3601", ""])
async def test_a_wait_that_makes_no_sense_changes_nothing(served: Served, wait: str) -> None:
    answer = await served.local.post(f"/api/v1/workspaces?wait={wait}", json=CREATE)
    assert problem(answer, 400, "invalid_input")["detail"].startswith("wait: ")
    assert served.services.workspaces.asked == []


async def test_a_command_is_executed_or_submitted(served: Served) -> None:
    command = {"action": "list", "provider": "docker"}
    done = await served.local.post("/api/v1/nodes/gpu/execute", json=command)
    assert done.status_code == 200
    assert done.json()["output"].startswith("gpu list uid:")
    begun = await served.local.post("/api/v1/nodes/gpu/execute?wait=false", json=command)
    assert (begun.status_code, begun.json()) == (202, PENDING)
    problem(await served.local.post("/api/v1/nodes/gpu/execute?wait=soon", json=command), 400, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff", b'{"metadata": {"a": NaN}}', b'{"labels": {"a": "\\ud800"}}', b"[" * 9999],
)
async def test_a_body_that_is_no_json_object_is_told(served: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await served.local.post("/api/v1/nodes", content=body, headers=headers)
    assert "JSON" in problem(answer, 400, "invalid_input")["detail"]


async def test_another_kind_of_body_is_told(served: Served) -> None:
    found = problem(await served.local.post("/api/v1/nodes", content=b"name=gpu"), 400, "invalid_input")
    assert "application/json" in found["hint"]


@pytest.mark.parametrize(
    ("path", "body", "unknown", "near"),
    [
        ("/nodes", {**ADD, "adress": 1}, "adress", "address"),
        ("/nodes", {**ADD, "login": {"pasword": 1}}, "login.pasword", "password"),
        ("/workspaces", {**CREATE, "mounts": [{**MOUNT, "sorce": "a"}]}, "mounts.0.sorce", "source"),
        ("/workspaces/web/stop", {"timeout": 1}, "timeout", "timeout_seconds"),
    ],
)
async def test_an_unknown_key_is_told_with_the_nearest(
    served: Served, path: str, body: dict[str, Any], unknown: str, near: str
) -> None:
    answer = await served.local.post(f"/api/v1{path}", json=body)
    detail = problem(answer, 400, "invalid_input")["detail"]
    assert detail == f'{unknown}: unknown key. Did you mean "{near}"?'


@pytest.mark.parametrize("login", ["hunter2", {"password": ["hunter2"]}, ["hunter2"], {"host_key": "hunter2"}])
async def test_what_may_be_a_secret_is_not_repeated(served: Served, login: Any, logged: list[Any]) -> None:
    answer = await served.local.post("/api/v1/nodes", json={"name": "n", "address": "h", "login": login})
    problem(answer, 400, "invalid_input")
    assert "hunter2" not in answer.text
    assert "refused" in str(logged)
    assert "hunter2" not in str(logged)


async def test_no_route_and_a_wrong_method_are_problems(served: Served) -> None:
    problem(await served.local.get("/nowhere"), 404, "not_found")
    problem(await served.local.get("/api/v1/nodes/gpu/nowhere"), 404, "not_found")
    answer = await served.local.put("/api/v1/nodes/gpu")
    problem(answer, 405, "invalid_input")
    assert set(answer.headers["allow"].split(", ")) <= {"GET", "PATCH", "DELETE"}


async def test_a_mistake_of_ours_has_a_number_and_leaks_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async def broken(name: str) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(served.services.nodes, "get", broken)
    answer = await served.local.get("/api/v1/nodes/gpu")
    found = problem(answer, 500, "internal")
    assert "secret" not in answer.text
    [entry] = [entry for entry in logged if entry["log_level"] == "error"]
    assert entry["request_id"] == found["details"]["request_id"]
    assert "the secret inside" in repr(entry["exc_info"])
    # and the connection serves on
    assert (await served.local.get("/healthz")).json() == {"status": "ok"}


async def test_each_route_reaches_its_service(served: Served) -> None:
    get, post = served.local.get, served.local.post
    assert (await get("/api/v1/nodes?label=a=b&label=c=d&status=connected")).json()["items"][0]["name"] == "gpu"
    for verb in ("connect", "disconnect", "cordon", "uncordon", "probe"):
        assert (await post(f"/api/v1/nodes/gpu/{verb}")).json()["name"] == "gpu"
        problem(await post(f"/api/v1/nodes/none/{verb}"), 404, "node_not_found")
    assert (await post("/api/v1/nodes/gpu/trust", json={"host_key": None})).json()["name"] == "gpu"
    assert (await post("/api/v1/nodes/gpu/install-key", json={})).json()["type"] == "ssh-ed25519"
    assert (await served.local.patch("/api/v1/nodes/gpu", json={"port": 22})).status_code == 200
    assert (await served.local.delete("/api/v1/nodes/gpu?force=true")).status_code == 204
    assert (await get("/api/v1/workspaces?node=gpu")).json()["items"] == [MADE]
    assert (await get("/api/v1/workspaces/web")).json() == MADE
    assert (await get("/api/v1/workspaces/web/stats")).json()["pids"] == 1
    assert (await get("/api/v1/operations?state=running")).json() == {"items": [PENDING], "next_cursor": "next"}
    assert (await post("/api/v1/operations/op1/cancel")).json() == PENDING
    assert (await get("/api/v1/keys")).json()["next_cursor"] is None
    assert (await post("/api/v1/keys", json={})).status_code == 201
    assert (await post("/api/v1/keys/unlock", json={"passphrase": "x"})).json()["items"][0]["unlocked"]
    assert (await post("/api/v1/tokens", json={"name": "ci", "role": "user"})).json()["secret"] == "shown once"
    assert (await served.local.delete("/api/v1/tokens/t1")).json()["revoked_at"]
    problem(await served.local.delete("/api/v1/tokens/none"), 404, "token_not_found")
    assert (await get("/api/v1/server")).json()["pid"] == 42
