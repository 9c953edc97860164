"""A login to where nobody answers ends before anything is read for it."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from vendetta.errors import ConnectFailed
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.identity import HostKeys, Keys
from vendetta.ssh.login import Connector
from vendetta.ssh.login.tcp import Line, dial
from vendetta.ssh.offered_keys import Offer
from vendetta.ssh.route import Hop, build_route


class UnreadKeys(Keys):
    @asynccontextmanager
    async def offer(self, hop: Hop, only: Path | None = None) -> AsyncIterator[Offer]:
        raise AssertionError("the keys were read")
        yield Offer()  # pragma: no cover - makes it a generator


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def hop_to(port: int, host: str = "127.0.0.1") -> Hop:
    return build_route(Endpoint(node="gpu", host=host, port=port, user="me"), [])[0]


async def test_where_nobody_listens_no_key_is_read(tmp_path: Path) -> None:
    connector = Connector(HostKeys(tmp_path / "pins"), UnreadKeys(tmp_path / "keys", tmp_path / "ssh"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and doesn't listen
        endpoint = Endpoint(node="gpu", host="127.0.0.1", port=taken.getsockname()[1], user="me")
        with pytest.raises(ConnectFailed, match="nothing listens on that port"):
            await connector.open(endpoint)


async def test_each_try_takes_a_connection_of_its_own(listening: socket.socket) -> None:
    line = Line(hop_to(listening.getsockname()[1]), tunnel=False)
    await line.open()
    first, second = await line.take(), await line.take()
    assert first is not None
    assert second is not None
    assert first.getsockname() != second.getsockname()
    first.close()
    second.close()
    await line.open()
    line.close()  # none is left open: a warning would be an error


async def test_what_asyncssh_must_reach_itself_is_left_to_it(listening: socket.socket) -> None:
    hop = hop_to(listening.getsockname()[1])
    assert await Line(hop, tunnel=True).take() is None
    assert await Line(replace(hop, direct=False), tunnel=False).take() is None


async def test_a_name_is_looked_up(listening: socket.socket) -> None:
    with await dial(replace(hop_to(listening.getsockname()[1], "localhost"), family=socket.AF_INET)) as opened:
        assert opened.getpeername() == listening.getsockname()
    with pytest.raises(socket.gaierror):
        await dial(hop_to(22, "no-such-host.invalid"))


async def test_it_comes_from_the_address_that_was_said(listening: socket.socket) -> None:
    hop = replace(hop_to(listening.getsockname()[1]), local=("127.0.0.2", 0))
    with await dial(hop) as opened:
        assert opened.getsockname()[0] == "127.0.0.2"
