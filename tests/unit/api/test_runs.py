"""One command on many nodes: a line of JSON for each."""

import json

from tests.unit.api.conftest import Served

RUN = "/api/v1/nodes/run"


async def test_each_node_is_a_line(served: Served) -> None:
    answer = await served.local.post(RUN, json={"argv": ["echo", "hi"], "nodes": ["one", "two"]})
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [(run["node"], run["exit_status"], run["stdout"]) for run in found] == [
        ("one", 0, "echo hi"),
        ("two", 0, "echo hi"),
    ]


async def test_a_node_that_is_not_there_is_a_problem(served: Served) -> None:
    answer = await served.local.post(RUN, json={"argv": ["true"], "nodes": ["nowhere"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "node_not_found")


async def test_nothing_to_run_is_refused(served: Served) -> None:
    answer = await served.local.post(RUN, json={"argv": []})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
