"""`/keys/rotate`: an operation, for administrators."""

from tests.unit.api.conftest import Served


async def test_it_is_an_operation(served: Served) -> None:
    answer = await served.local.post(
        "/api/v1/keys/rotate", json={"nodes": ["gpu"], "type": "rsa"}, headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json()["kind"]) == (202, "key.rotate")
    [(ask, request)] = served.services.rotation.asked
    assert (request.nodes, request.type, ask.key) == (["gpu"], "rsa", "k")
    assert ask.actor.startswith("uid:")


async def test_without_a_body_it_is_of_all_nodes(served: Served) -> None:
    assert (await served.local.post("/api/v1/keys/rotate")).status_code == 202
    [(_, request)] = served.services.rotation.asked
    assert (request.nodes, request.type) == ([], None)


async def test_a_type_that_there_is_not(served: Served) -> None:
    assert (await served.local.post("/api/v1/keys/rotate", json={"type": "dsa"})).status_code == 400
