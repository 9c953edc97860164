"""`/nodes/{name}/drain`, `undrain` and `/workspaces/{name}/move`: operations."""

from tests.unit.api.conftest import Served

from vendetta.coordination.requests import DrainRequest, MoveRequest, NoConfig

DRAIN = "/api/v1/nodes/gpu/drain"


async def test_they_are_operations(served: Served) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {"move": True, "to": "spare", "timeout_seconds": 3}
    for path, given in ((DRAIN, body), (DRAIN, None), ("/api/v1/nodes/gpu/undrain", None)):
        answer = await served.local.post(path, json=given, headers=headers)
        assert (answer.status_code, answer.json()["kind"]) == (202, f"node.{path.rpartition('/')[2]}")
    assert [(kind, node, request, ask.key) for kind, node, request, ask in served.services.changes.asked] == [
        ("node.drain", "gpu", DrainRequest(move=True, to="spare", timeout_seconds=3), "k"),
        ("node.drain", "gpu", DrainRequest(), "k"),
        ("node.undrain", "gpu", NoConfig(), "k"),
    ]
    answer = await served.local.post("/api/v1/workspaces/web/move", json={"node": "spare"}, headers=headers)
    assert (answer.status_code, answer.json()["kind"]) == (202, "workspace.move")
    kind, name, request, ask = served.services.changes.asked[-1]
    assert (kind, name, request, ask.key) == ("workspace.move", "web", MoveRequest(node="spare"), "k")


async def test_a_plan_changes_nothing(served: Served) -> None:
    answer = await served.local.post(f"{DRAIN}/plan", json={"move": True})
    assert [one["outcome"] for one in answer.json()["workspaces"]] == ["moved", "stopped"]
    assert served.services.changes.asked == []


async def test_what_makes_no_sense_is_a_problem(served: Served) -> None:
    answer = await served.local.post(DRAIN, json={"mov": True})
    assert (answer.status_code, 'Did you mean "move"?' in answer.json()["detail"]) == (400, True)
    assert (await served.local.post("/api/v1/nodes/nowhere/drain")).status_code == 404
