"""What nodes hold to make workspaces from: files that are sent, folders that are built."""

import json
from dataclasses import replace

import msgspec
from tests.unit.api.conftest import Served
from tests.unit.client.samples import IMAGE, OPERATION

IMAGES = "/api/v1/images"
AT = {"node": "gpu", "name": "mine:1"}


async def test_those_of_a_node(served: Served) -> None:
    found = (await served.local.get(IMAGES, params={"node": "gpu", "provider": "lxc"})).json()
    assert [(image["name"], image["provider"]) for image in found["items"]] == [("mine:1", "lxc")]
    absent = await served.local.get(IMAGES, params={"node": "nowhere"})
    assert (absent.status_code, absent.json()["code"]) == (404, "node_not_found")


async def test_a_file_is_given(served: Served) -> None:
    key = {"Idempotency-Key": "once"}
    answer = await served.local.post(IMAGES, params=AT, content=b"the image", headers=key)
    assert (answer.status_code, answer.json()["kind"]) == (202, "image.push")
    [(*pushed, ask)] = served.services.images.asked
    assert (pushed, ask.key) == (["push", None, "mine:1", b"the image"], "once")


async def test_waited_for_it_is_the_image(served: Served) -> None:
    operations = served.services.operations
    operations.after = replace(OPERATION, state="succeeded", result=msgspec.to_builtins(IMAGE))
    operations.release.set()
    answer = await served.local.post(IMAGES, params={**AT, "wait": "5"}, content=b"the image")
    assert (answer.status_code, answer.json()["name"]) == (201, "mine:1")
    pulled = await served.local.post(f"{IMAGES}/pull", params={"wait": "5"}, json={**AT, "provider": "docker"})
    assert (pulled.status_code, pulled.json()["id"]) == (200, IMAGE.id)
    assert (await served.local.delete(IMAGES, params={**AT, "wait": "5"})).status_code == 204


async def test_a_folder_is_built(served: Served) -> None:
    params = [*AT.items(), ("argument", "WHO=me"), ("argument", "EMPTY="), ("file", "sub/Dockerfile")]
    answer = await served.local.post(f"{IMAGES}/build", params=params, content=b"a tar")
    assert answer.headers["content-type"] == "application/x-ndjson"
    said, made = (json.loads(line) for line in answer.text.splitlines())
    assert (said["output"], made["image"]["name"]) == ("Step 1/1 : FROM busybox\n", "mine:1")
    options = {
        "file": "sub/Dockerfile",
        "arguments": {"WHO": "me", "EMPTY": ""},
        "platform": None,
        "deadline_seconds": None,
    }
    assert served.services.images.asked == [("build", "mine:1", b"a tar", options)]


async def test_arguments_are_pairs(served: Served) -> None:
    answer = await served.local.post(f"{IMAGES}/build", params={**AT, "argument": "WHO"}, content=b"a tar")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert "argument: 'WHO' is not KEY=VALUE" in answer.json()["detail"]
