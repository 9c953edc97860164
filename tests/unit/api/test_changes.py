"""The routes of changes, made from the table: each takes a key, a deadline and `wait`, and says what it gives."""

import pytest
from fastapi import FastAPI
from tests.unit.api.conftest import Served
from tests.unit.api.fakes import build_services

from vendetta.api.app import create_app
from vendetta.api.metrics import Metrics
from vendetta.coordination.ask import Ask
from vendetta.coordination.changes import CHANGES, of_many

PATHS = {
    "workspace.create": ("post", "/workspaces"),
    "workspace.remove": ("delete", "/workspaces/{name}"),
    "workspace.snapshot": ("post", "/workspaces/{name}/snapshots"),
    "workspace.restore": ("post", "/workspaces/{name}/snapshots/{snapshot}/restore"),
    "workspace.remove-snapshot": ("delete", "/workspaces/{name}/snapshots/{snapshot}"),
    "node.execute": ("post", "/nodes/{name}/execute"),
    "image.push": ("post", "/images"),
    "image.pull": ("post", "/images/pull"),
    "image.remove": ("delete", "/images"),
    "key.rotate": ("post", "/keys/rotate"),
}
"""The changes whose routes aren't `POST /NOUNs/{name}/VERB`."""


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(build_services(), Metrics())


@pytest.mark.parametrize("kind", CHANGES)
def test_every_change_has_a_route_that_takes_a_key_a_deadline_and_wait(app: FastAPI, kind: str) -> None:
    noun, _, verb = kind.partition(".")
    method, path = PATHS.get(kind, ("post", f"/{noun}s/{{name}}/{verb}"))
    described = app.openapi()["paths"][f"/api/v1{path}"][method]
    taken = {parameter["name"] for parameter in described["parameters"]}
    # how long a command may take stands in its body
    assert {"Idempotency-Key", "wait", *([] if kind == "node.execute" else ["deadline"])} <= taken
    assert described["summary"]


@pytest.mark.parametrize("noun", ["workspace", "node"])
@pytest.mark.parametrize("query", ["", "?deadline=60"])
async def test_what_is_asked_reaches_the_operation(served: Served, noun: str, query: str) -> None:
    target = {"workspace": "web", "node": "gpu"}[noun]
    kinds = {verb: kind for verb, kind in of_many(noun).items() if kind not in PATHS}
    assert len(kinds) >= 3
    for verb, kind in kinds.items():
        answer = await served.local.post(
            f"/api/v1/{noun}s/{target}/{verb}{query}",
            json={"disk": "1G"} if verb == "resize" else None,
            headers={"Idempotency-Key": verb},
        )
        assert (answer.status_code, answer.json()["kind"]) == (202, kind)
        asked, name, request, ask = served.services.changes.asked.pop()
        assert (asked, name, type(request)) == (kind, target, CHANGES[kind].request)
        assert (ask.key, ask.deadline_seconds) == (verb, 60.0 if query else None)


async def test_a_deadline_reaches_images_and_the_keys_rotation(served: Served) -> None:
    query = {"deadline": "60", "node": "gpu", "name": "mine:1"}
    await served.local.post("/api/v1/images", params=query, content=b"the image")
    await served.local.post("/api/v1/images/pull?deadline=60", json={"node": "gpu", "name": "mine:1"})
    await served.local.delete("/api/v1/images", params=query)
    assert [ask.deadline_seconds for *_, ask in served.services.images.asked] == [60.0, 60.0, 60.0]
    await served.local.post("/api/v1/keys/rotate?deadline=60")
    assert served.services.rotation.asked[0][0].deadline_seconds == 60.0


async def test_a_deadline_that_makes_no_sense_changes_nothing(served: Served) -> None:
    for wrong in ("0", "-1", "soon", "1e9"):
        answer = await served.local.post(f"/api/v1/nodes/gpu/drain?deadline={wrong}")
        assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (400, "deadline")
    assert served.services.changes.asked == []


def test_one_of_several_has_a_key_of_its_own() -> None:
    assert Ask("me", "key", 5.0).for_one("web") == Ask("me", "key-web", 5.0)
    assert Ask("me").for_one("web") == Ask("me")
