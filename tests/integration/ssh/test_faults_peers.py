"""What listens on the port of sshd and isn't one: it hangs, is silent, or says too much. Only its node suffers."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told, endpoint

from vendetta.errors import ConnectFailed, LinkTimeout
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.pool import Capacity, Pool

ALL = 100
GIBIBYTE = 2**30
BOUND_BYTES = 64 * 2**20
"""What the kernel's buffers and we take together before we hang up: far less than is sent."""


@dataclass
class Talker:
    """A server that says `pieces` to everybody, up to a gibibyte, as long as they are taken."""

    pieces: Callable[[], Iterator[bytes]]
    port: int = 0
    sent: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for piece in self.pieces():
                writer.write(piece)
                await writer.drain()
                self.sent += len(piece)
                if self.sent >= GIBIBYTE:
                    return
            await reader.read()
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def talking(pieces: Callable[[], Iterator[bytes]]) -> AsyncIterator[Talker]:
    talker = Talker(pieces)
    async with await asyncio.start_server(talker.serve, "127.0.0.1") as server:
        talker.port = server.sockets[0].getsockname()[1]
        yield talker


def to(port: int, host: str = "127.0.0.1", node: str = "odd") -> Endpoint:
    return Endpoint(node=node, host=host, port=port, user="root")


async def test_a_node_that_never_speaks_is_given_up_on(side: Side) -> None:
    async with talking(lambda: iter(())) as silent:
        with pytest.raises(LinkTimeout, match="no answer in time"):
            await side.connector(connection_timeout_seconds=0.3).open(to(silent.port), ACCEPT)


GARBAGE = {
    "noise": [os.urandom(4096)],
    "HTTP": [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-1.5-old\r\n"],
    "TLS": [b"\x15\x03\x01\x00\x02\x02\x46", b"\n" * 5000],
    "noise after a proper beginning": [b"SSH-2.0-Odd\r\n", b"\xff" * 65536],
    "a packet that says it is huge": [b"SSH-2.0-Odd\r\n", b"\x7f\xff\xff\xff" * 16],
    "a packet that makes no sense": [b"SSH-2.0-Odd\r\n", b"\x00\x00\x00\x0c\x0a" + bytes(11)],
    "nothing": [b"SSH-2.0-" + b"x" * 1000 + b"\r\n"],
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_node_that_sends_garbage_fails_with_a_reason(side: Side, said: list[bytes]) -> None:
    async with talking(lambda: iter([*said, *[b"garbage\n"] * 2000])) as odd:
        with pytest.raises(ConnectFailed, match="connect to node odd") as failed:
            await side.connector(connection_timeout_seconds=30).open(to(odd.port), ACCEPT)
    assert failed.value.hint


BANNERS = {
    "one line": b"x" * 2**20,
    "many lines": (b"x" * 8000 + b"\r\n") * 100,
    "many short lines": b"hello\r\n" * 2**15,
}


@pytest.mark.parametrize("piece", BANNERS.values(), ids=BANNERS.keys())
async def test_a_banner_of_a_gibibyte_is_not_listened_to(side: Side, piece: bytes) -> None:
    async with talking(lambda: iter(lambda: piece, None)) as endless:
        with pytest.raises(ConnectFailed, match="doesn't speak SSH"):
            await side.connector(connection_timeout_seconds=60).open(to(endless.port), ACCEPT)
        assert endless.sent < BOUND_BYTES


@pytest.fixture
def mute_hosts() -> Iterator[Callable[[int], list[Endpoint]]]:
    """Sockets that the kernel answers for, and nobody else ever does."""
    with ExitStack() as stack:

        def make(count: int) -> list[Endpoint]:
            made = []
            for number in range(count):
                mute = stack.enter_context(socket.socket())
                mute.bind((f"127.0.1.{number + 1}", 0))
                mute.listen()
                host, port = mute.getsockname()
                made.append(to(port, host, f"mute{number}"))
            return made

        yield make


@pytest.mark.parametrize("hanging", [30, 80])
async def test_of_a_hundred_nodes_those_that_hang_slow_nobody_else(
    make_sshd: MakeSshd, side: Side, mute_hosts: Callable[[int], list[Endpoint]], hanging: int
) -> None:
    """The others are all there while those still hang: none of them waited for one."""
    sshd = make_sshd(ListenAddress="0.0.0.0", AllowUsers="root@127.*", MaxStartups="200")
    others = [endpoint(sshd, f"n{number}", host=f"127.0.2.{number + 1}") for number in range(ALL - hanging)]
    async with Pool(side.connector(connection_timeout_seconds=90), Told(), Capacity(100), drain_seconds=0) as pool:
        stuck = [asyncio.create_task(pool.connect(mute, ACCEPT)) for mute in mute_hosts(hanging)]
        await asyncio.gather(*(pool.connect(other, ACCEPT) for other in others))
        assert len(pool) == len(others)
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_request_for_another_node_passes_one_that_hangs(
    make_sshd: MakeSshd, side: Side, mute_hosts: Callable[[int], list[Endpoint]]
) -> None:
    sshd = make_sshd()
    async with Pool(side.connector(connection_timeout_seconds=90), Told(), Capacity(100), drain_seconds=0) as pool:
        (mute,) = mute_hosts(1)
        stuck = [asyncio.create_task(pool.connect(mute, ACCEPT)) for _ in range(100)]
        connection = await pool.connect(endpoint(sshd), ACCEPT)
        assert (await connection.run(["echo", "hello"])).stdout == b"hello\n"
        assert not any(task.done() for task in stuck)
        await pool.disconnect(mute.node)
        await asyncio.gather(*stuck, return_exceptions=True)
