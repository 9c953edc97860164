"""What is found out about an address before anybody logs in."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from tests.integration.ssh.conftest import Side, endpoint
from tests.integration.ssh.sshd import Sshd, free_port
from tests.testbed import Node

from vendetta.errors import ConnectFailed, LinkError, LinkTimeout
from vendetta.ssh.endpoint import Endpoint

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serving = Callable[[Serve], AbstractAsyncContextManager[Endpoint]]


def at(port: int, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint(node="n", host=host, port=port, user="me")


@pytest.fixture
def serving() -> Serving:
    """An endpoint where that answers."""

    @asynccontextmanager
    async def serving(serve: Serve) -> AsyncIterator[Endpoint]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            yield at(server.sockets[0].getsockname()[1])

    return serving


async def stage_of(side: Side, endpoint: Endpoint, seconds: float = 5.0) -> tuple[type[LinkError], str]:
    with pytest.raises(LinkError) as caught:
        await side.connector().reach(endpoint, seconds)
    return type(caught.value), caught.value.details["stage"]


async def test_an_sshd_says_what_it_is(sshd: Sshd, side: Side) -> None:
    assert (await side.connector().reach(endpoint(sshd), 5.0)).startswith("SSH-2.0-OpenSSH_")


async def test_a_server_may_say_something_before(side: Side, serving: Serving) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome\r\nto this machine\r\nSSH-2.0-odd\r\n")
        writer.close()

    async with serving(serve) as there:
        assert await side.connector().reach(there, 5.0) == "SSH-2.0-odd"


async def test_no_such_host(side: Side) -> None:
    assert await stage_of(side, at(22, "nowhere.invalid")) == (ConnectFailed, "address")


async def test_no_way_to_it(side: Side, docker_node: Node) -> None:
    """An address of the bed's own network that no machine has."""
    unused = docker_node.address.rpartition(".")[0] + ".253"
    kind, stage = await stage_of(side, at(22, unused), 1.0)
    assert (kind in (ConnectFailed, LinkTimeout), stage) == (True, "route")


async def test_nothing_listens(side: Side) -> None:
    assert await stage_of(side, at(free_port())) == (ConnectFailed, "port")


async def test_it_takes_connections_and_never_speaks(side: Side) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert await stage_of(side, at(silent.getsockname()[1]), 0.2) == (LinkTimeout, "port")


@pytest.mark.parametrize("garbage", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 100_000, b"\n" * 1000])
async def test_it_speaks_something_else(side: Side, serving: Serving, garbage: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        writer.close()

    async with serving(serve) as there:
        assert await stage_of(side, there) == (ConnectFailed, "port")
