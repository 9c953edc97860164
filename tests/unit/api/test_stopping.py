"""What the server listens on, and what becomes of requests that run when it stops."""

import asyncio
import socket
from pathlib import Path

import pytest
from tests.unit.api.conftest import Served

from vendetta.api.listeners import describe, listen_on_tcp
from vendetta.errors import InvalidInput
from vendetta.private_socket import check_path


async def until_refused(path: Path) -> None:
    """Returns once nobody listens there any more."""
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(str(path))
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.01)


async def test_requests_that_run_are_finished(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(name: str) -> dict[str, str]:
        begun.set()
        await may_end.wait()
        return {"name": name}

    monkeypatch.setattr(served.services.nodes, "get", slow)
    asking = asyncio.create_task(served.local.get("/api/v1/nodes/gpu"))
    await begun.wait()
    assert (await served.local.get("/readyz")).status_code == 200
    served.services.stopping.set()
    await until_refused(served.socket)
    may_end.set()
    assert (await asking).json() == {"name": "gpu"}


@pytest.mark.parametrize("grace_seconds", [0.1], indirect=True)
async def test_requests_that_do_not_end_are_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def endless(name: str) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(served.services.nodes, "get", endless)
    asking = asyncio.create_task(served.local.get("/api/v1/nodes/gpu"))
    await begun.wait()
    served.services.stopping.set()
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (503, "server_unavailable")


def test_addresses_are_told_as_clients_name_them() -> None:
    with listen_on_tcp("[::1]:0") as sock:
        assert describe(sock) == f"http://[::1]:{sock.getsockname()[1]}"


def test_an_address_that_can_not_be_had_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InvalidInput, match=f"can't listen on {address}"), listen_on_tcp(address):
            pass


def test_a_path_that_no_socket_can_have_is_told() -> None:
    check_path(Path("/" + "a" * 106))
    with pytest.raises(InvalidInput, match="longer than 107 bytes"):
        check_path(Path("/" + "a" * 107))
