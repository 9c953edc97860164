"""One change on many: a line of JSON for each."""

import json

from tests.unit.api.conftest import Served

from vendetta.coordination.requests import BulkRequest, WorkspaceBulkRequest


async def test_each_is_a_line(served: Served) -> None:
    headers = {"Idempotency-Key": "again"}
    body = {"action": "stop", "names": ["one", "two"], "config": {"timeout_seconds": 3}}
    answer = await served.local.post("/api/v1/workspaces/bulk", json=body, headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["name"] for line in answer.text.splitlines()] == ["one", "two"]
    answer = await served.local.post("/api/v1/nodes/bulk", json={"action": "cordon", "all": True})
    assert answer.text == ""
    workspaces, nodes = served.services.bulk.asked
    assert workspaces[0] == WorkspaceBulkRequest.model_validate(body)
    assert workspaces[1].key == "again"
    assert nodes[:1] == (BulkRequest(action="cordon", all=True),)


async def test_what_makes_no_sense_is_a_problem(served: Served) -> None:
    answer = await served.local.post("/api/v1/workspaces/bulk", json={"action": "no", "all": True})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_action")
    answer = await served.local.post("/api/v1/nodes/bulk", json={"action": "cordon", "nams": ["a"]})
    assert (answer.status_code, 'Did you mean "names"?' in answer.json()["detail"]) == (400, True)


async def test_a_viewer_changes_nothing(served: Served) -> None:
    headers = {"Authorization": "Bearer viewer"}
    answer = await served.far.post("/api/v1/nodes/bulk", json={"action": "cordon", "all": True}, headers=headers)
    assert answer.status_code == 403
    assert served.services.bulk.asked == []
