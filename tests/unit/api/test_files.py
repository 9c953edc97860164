"""Files in and out, and what is said when they can't be."""

from tests.unit.api.conftest import Served

URL = "/api/v1/workspaces/web"


async def test_in_and_out(served: Served) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        yield b"one"
        yield b"two"

    put = await served.local.put(f"{URL}/files", params={"path": "/srv"}, content=pieces())
    assert (put.status_code, served.services.workspaces.asked) == (204, [("put", "/srv", b"onetwo")])
    got = await served.local.get(f"{URL}/files", params={"path": "/srv"})
    assert (got.content, got.headers["content-type"]) == (b"half and half", "application/x-tar")
    stat = await served.local.get(f"{URL}/path", params={"path": "/srv"})
    assert stat.json() == {"kind": "directory", "size_bytes": 4096, "mode": 0o755, "target": None}


async def test_what_is_not_there(served: Served) -> None:
    for where in ("path", "files"):
        answer = await served.local.get(f"{URL}/{where}", params={"path": "/none"})
        assert (answer.status_code, answer.json()["code"]) == (404, "path_not_found")
        relative = await served.local.get(f"{URL}/{where}", params={"path": "srv"})
        assert (relative.status_code, relative.json()["code"]) == (400, "invalid_input")
    answer = await served.local.put("/api/v1/workspaces/none/files", params={"path": "/srv"}, content=b"x")
    assert answer.json()["code"] == "workspace_not_found"
