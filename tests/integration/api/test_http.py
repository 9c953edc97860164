"""What HTTP promises: problems, pages, identities, streams, and an API that describes itself."""

import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from vendetta import errors
from vendetta.api.problems import STATUS, status_of
from vendetta.api.services import Services

NODE = {"name": "far", "address": "me@192.0.2.7", "connect": False}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (answer.status_code, found["status"], found["code"]) == (status, status, code)
    assert "Traceback" not in answer.text
    return found


def test_every_error_has_a_status() -> None:
    pending = [errors.VendettaError]
    while pending:
        kind = pending.pop()
        assert 400 <= status_of(kind("x")) <= 599
        pending.extend(kind.__subclasses__())
    assert set(STATUS) <= {getattr(errors, name) for name in dir(errors) if isinstance(getattr(errors, name), type)}


async def test_bad_requests_are_problems_that_name_the_value(local: httpx.AsyncClient) -> None:
    problem(await local.get("/api/v1/nodes/none"), 404, "node_not_found")
    bad = problem(await local.post("/api/v1/nodes", json={**NODE, "name": "No!"}), 400, "invalid_input")
    assert bad["detail"].startswith("name: 'No!'")
    unknown = problem(await local.post("/api/v1/nodes", json={**NODE, "adress": "x"}), 400, "invalid_input")
    assert unknown["details"]["problems"] == [{"path": "adress", "message": 'unknown key. Did you mean "address"?'}]
    problem(await local.post("/api/v1/nodes", content=b"{"), 400, "invalid_input")
    problem(await local.get("/api/v1/nodes?limit=0"), 400, "invalid_input")
    problem(await local.get("/api/v1/nodes?label=x"), 400, "invalid_input")
    problem(await local.get("/api/v1/nodes?status=fine"), 400, "invalid_input")
    problem(await local.get("/nowhere"), 404, "not_found")
    problem(await local.put("/api/v1/nodes"), 405, "invalid_input")


async def test_a_mistake_of_ours_leaks_nothing(services: Services, app: FastAPI, local: httpx.AsyncClient) -> None:
    async def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the secret inside")

    services.nodes.get = broken  # type: ignore[method-assign, assignment]
    transport = httpx.ASGITransport(app, client=("uid:0", 0), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        answer = await client.get("/api/v1/nodes/x")
    assert "secret" not in problem(answer, 500, "internal")["detail"]


async def test_lists_are_paged(local: httpx.AsyncClient) -> None:
    for number in range(5):
        answer = await local.post(
            "/api/v1/nodes", json={**NODE, "name": f"n{number}", "labels": {"odd": str(number % 2)}}
        )
        assert answer.status_code == 201
    first = (await local.get("/api/v1/nodes?limit=3")).json()
    second = (await local.get("/api/v1/nodes", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [node["name"] for node in first["items"] + second["items"]] == ["n0", "n1", "n2", "n3", "n4"]
    assert second["next_cursor"] is None
    odd = (await local.get("/api/v1/nodes?label=odd=1")).json()["items"]
    assert [node["name"] for node in odd] == ["n1", "n3"]


async def test_a_node_is_changed_and_forgotten(local: httpx.AsyncClient) -> None:
    await local.post("/api/v1/nodes", json={**NODE, "labels": {"a": "1", "b": "2"}})
    problem(await local.post("/api/v1/nodes", json=NODE), 409, "name_taken")
    changes = {"address": "you@192.0.2.8:2222", "labels": {"a": None, "c": "3"}}
    node = (await local.patch("/api/v1/nodes/far", json=changes)).json()
    assert (node["address"], node["user"], node["port"], node["labels"]) == (
        "192.0.2.8",
        "you",
        2222,
        {"b": "2", "c": "3"},
    )
    assert (await local.delete("/api/v1/nodes/far")).status_code == 204
    assert (await local.get("/api/v1/nodes")).json()["items"] == []


async def test_a_node_is_cordoned_once_and_by_somebody(services: Services, local: httpx.AsyncClient) -> None:
    await local.post("/api/v1/nodes", json=NODE)
    for verb, cordoned in (("cordon", True), ("cordon", True), ("uncordon", False), ("uncordon", False)):
        assert (await local.post(f"/api/v1/nodes/far/{verb}")).json()["cordoned"] is cordoned
    told = [(event.kind, event.actor) for event in (await services.events.list()).items if "cordon" in event.kind]
    assert told == [("node.cordoned", "uid:1000"), ("node.uncordoned", "uid:1000")]
    await local.post("/api/v1/nodes/far/cordon")
    image = {"name": "web", "provider": "docker", "image": "x", "node": "far"}
    problem(await local.post("/api/v1/workspaces", json=image), 409, "wrong_state")
    problem(await local.post("/api/v1/nodes/nowhere/cordon"), 404, "node_not_found")


async def test_over_tcp_a_token_says_who_is_calling(local: httpx.AsyncClient, far: httpx.AsyncClient) -> None:
    answer = await far.get("/api/v1/nodes")
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    made = {
        role: (await local.post("/api/v1/tokens", json={"name": role, "role": role})).json()
        for role in ("admin", "user", "viewer")
    }
    as_ = {role: {"Authorization": f"Bearer {each['secret']}"} for role, each in made.items()}
    assert (await far.get("/api/v1/nodes", headers=as_["viewer"])).status_code == 200
    problem(await far.post("/api/v1/nodes", json=NODE, headers=as_["viewer"]), 403, "forbidden")
    assert (await far.post("/api/v1/nodes", json=NODE, headers=as_["user"])).status_code == 201
    problem(await far.get("/api/v1/tokens", headers=as_["user"]), 403, "forbidden")
    listed = await far.get("/api/v1/tokens", headers=as_["admin"])
    assert "secret" not in listed.text
    assert made["user"]["secret"] not in listed.text
    await local.delete(f"/api/v1/tokens/{made['user']['token']['id']}")
    problem(await far.get("/api/v1/nodes", headers=as_["user"]), 401, "unauthorized")
    actors = {event["actor"] for event in (await local.get("/api/v1/events")).json()["items"]}
    assert {"uid:1000", "token:user"} <= actors


async def test_keys_and_the_server_itself(local: httpx.AsyncClient) -> None:
    assert (await local.get("/api/v1/keys")).json()["items"] == []
    made = (await local.post("/api/v1/keys", json={"type": "ed25519"})).json()
    assert made["public_key"].startswith("ssh-ed25519 ")
    assert (await local.get("/api/v1/keys")).json()["items"] == [made]
    problem(await local.post("/api/v1/keys", json={}), 409, "conflict")
    status = (await local.get("/api/v1/server")).json()
    assert (status["nodes"], status["workspaces"], status["connections"]) == (0, 0, 0)
    assert status["memory_bytes"] > 0


async def test_health_figures_and_documents(local: httpx.AsyncClient, far: httpx.AsyncClient) -> None:
    assert (await far.get("/healthz")).json() == {"status": "ok"}
    assert (await far.get("/readyz")).json() == {"status": "ready"}
    problem(await far.get("/metrics"), 401, "unauthorized")
    await local.get("/api/v1/nodes/one-of-many")
    figures = (await local.get("/metrics")).text
    assert 'route="/api/v1/nodes/{name}",status="404"' in figures
    assert "one-of-many" not in figures
    schema = (await local.get("/openapi.json")).json()
    assert "/api/v1/workspaces/{name}/start" in schema["paths"]
    page = (await local.get("/docs")).text
    assert "/api/v1/workspaces/{name}/start" in page
    assert "http://" not in page
    assert "https://" not in page


async def test_events_are_streamed_and_resumed(services: Services, local: httpx.AsyncClient) -> None:
    for number in range(3):
        await services.events.emit("thing.happened", f"t{number}")
    # watchers get what is stored, and end: this transport gives a body only as a whole
    services.events.close()
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "1"}
    answer = await local.get("/api/v1/events", headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.text.splitlines()
    assert [line for line in lines if line.startswith("id:")] == ["id: 2", "id: 3"]
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [event["subject"] for event in data] == ["t1", "t2"]


async def test_workspaces_that_make_no_sense_are_refused_at_once(local: httpx.AsyncClient) -> None:
    good = {"name": "web", "provider": "docker", "image": "busybox", "node": "far"}
    problem(await local.post("/api/v1/workspaces", json={**good, "provider": "dockr"}), 400, "unknown_provider")
    problem(await local.post("/api/v1/workspaces", json=good), 404, "node_not_found")
    problem(await local.post("/api/v1/workspaces", json={**good, "memory": "2X"}), 400, "invalid_input")
    refused = await local.post("/api/v1/workspaces?wait=20", json={**good, "node": None})
    assert "there is no node yet" in problem(refused, 400, "invalid_input")["detail"]
    for verb in ("start", "stop", "restart"):
        problem(await local.post(f"/api/v1/workspaces/web/{verb}"), 404, "workspace_not_found")
    problem(await local.delete("/api/v1/workspaces/web"), 404, "workspace_not_found")
    problem(await local.get("/api/v1/workspaces/web/logs"), 404, "workspace_not_found")
    problem(await local.get("/api/v1/workspaces/web/stats"), 404, "workspace_not_found")
    problem(await local.post("/api/v1/workspaces?wait=long", json=good), 400, "invalid_input")


async def test_an_idempotency_key_makes_one_operation(local: httpx.AsyncClient) -> None:
    body = {"name": "web", "provider": "docker", "image": "busybox"}
    headers = {"Idempotency-Key": "k1"}
    first, again = [(await local.post("/api/v1/workspaces", json=body, headers=headers)).json() for _ in range(2)]
    assert first["id"] == again["id"]
    other = await local.post("/api/v1/workspaces", json={**body, "name": "other"}, headers=headers)
    problem(other, 409, "conflict")
    ended = (await local.get(f"/api/v1/operations/{first['id']}?wait=20")).json()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "invalid_input")
    problem(await local.post(f"/api/v1/operations/{first['id']}/cancel"), 409, "wrong_state")
    problem(await local.get("/api/v1/operations/none"), 404, "operation_not_found")
    watched = (await local.get(f"/api/v1/operations/{first['id']}/watch")).text
    data = [json.loads(line[6:]) for line in watched.splitlines() if line.startswith("data: ")]
    assert data[-1]["state"] == "failed"


@pytest.mark.parametrize("text", ["on", "-1", "1e9", "4000"])
async def test_wait_is_seconds_or_a_boolean(local: httpx.AsyncClient, text: str) -> None:
    body = {"name": "web", "provider": "docker", "image": "busybox"}
    problem(await local.post(f"/api/v1/workspaces?wait={text}", json=body), 400, "invalid_input")
