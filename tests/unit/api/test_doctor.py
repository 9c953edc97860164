"""`/nodes/{name}/doctor`."""

from tests.unit.api.conftest import Served


async def test_it_is_a_report(served: Served) -> None:
    answer = await served.local.get("/api/v1/nodes/gpu/doctor")
    assert answer.status_code == 200
    report = answer.json()
    assert (report["node"], report["seconds"], len(report["checks"])) == ("gpu", 0.25, 5)
    assert report["checks"][1] == {
        "name": "forward-tcp",
        "state": "failure",
        "detail": "sshd forwards no ports",
        "mend": "sudo mend it",
    }


async def test_only_what_is_essential(served: Served) -> None:
    answer = await served.local.get("/api/v1/nodes/gpu/doctor", params={"essential": True})
    assert [check["name"] for check in answer.json()["checks"]] == ["forward-tcp"]


async def test_a_node_that_there_is_not(served: Served) -> None:
    answer = await served.local.get("/api/v1/nodes/nowhere/doctor")
    assert (answer.status_code, answer.json()["code"]) == (404, "node_not_found")
