"""Who may do what, on the socket and by TCP."""

import asyncio
import os
import socket
import struct

import pytest
from tests.unit.api.conftest import Served

from vendetta.api.peer import may_enter, peer_of

NODE = {"name": "n", "address": "h", "connect": False}


async def test_on_the_socket_the_kernel_says_who_it_is(served: Served) -> None:
    made = (await served.local.post("/api/v1/nodes", json=NODE)).json()
    assert made["metadata"] == {"actor": f"uid:{os.geteuid()}"}
    assert (await served.local.get("/api/v1/tokens")).status_code == 200


async def test_by_tcp_a_token_does(served: Served) -> None:
    made = await served.far.post("/api/v1/nodes", json=NODE, headers={"Authorization": "Bearer user"})
    assert made.json()["metadata"] == {"actor": "token:of-user"}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic admin", "admin"])
@pytest.mark.parametrize("path", ["/api/v1/nodes", "/metrics", "/nowhere"])
async def test_without_a_valid_token_nothing_is_told(served: Served, header: str | None, path: str) -> None:
    answer = await served.far.get(path, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_stranger_is_refused_before_the_body_is_read(served: Served) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = ("POST /api/v1/nodes HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 999999")
    writer.write("\r\n".join([*lines, "", "{"]).encode())
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("viewer", "GET", "/api/v1/nodes", 200),
        ("viewer", "POST", "/api/v1/nodes", 403),
        ("viewer", "DELETE", "/api/v1/workspaces/web", 403),
        ("user", "POST", "/api/v1/nodes", 201),
        ("user", "GET", "/api/v1/tokens", 403),
        ("user", "DELETE", "/api/v1/tokens/t1", 403),
        ("admin", "GET", "/api/v1/tokens", 200),
    ],
)
async def test_roles_may_what_they_may(served: Served, role: str, method: str, path: str, status: int) -> None:
    body = NODE if method == "POST" else None
    answer = await served.far.request(method, path, json=body, headers={"Authorization": f"Bearer {role}"})
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "forbidden"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
async def test_anyone_may_ask_whether_it_lives_and_how_it_speaks(served: Served, path: str) -> None:
    assert (await served.far.get(path)).status_code == 200


class FakeSocket:
    family = socket.AF_UNIX

    def __init__(self, uid: int) -> None:
        self.uid = uid

    def getsockopt(self, *_: object) -> bytes:
        return struct.pack("3i", 1, self.uid, 1)


class FakeTransport(asyncio.Transport):
    def __init__(self, uid: int) -> None:
        super().__init__({"socket": FakeSocket(uid)})


def test_other_users_are_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    entering = {uid: may_enter(peer_of(FakeTransport(uid))) for uid in (0, 1000, 1001)}
    assert entering == {0: True, 1000: True, 1001: False}
    assert may_enter(None), "who comes by TCP shows a token"


async def test_another_user_is_hung_up_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendetta.api.peer.may_enter", lambda peer: False)
    reader, writer = await asyncio.open_unix_connection(str(served.socket))
    assert await reader.read() == b""
    writer.close()
