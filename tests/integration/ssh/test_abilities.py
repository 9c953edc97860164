"""What each configuration of sshd allows, as it is found by trying."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint

from vendetta.errors import ConnectionLost
from vendetta.ssh.channel import Connection

Opened = Callable[..., AbstractAsyncContextManager[Connection]]


@pytest.fixture
def opened_with(make_sshd: MakeSshd, side: Side) -> Opened:
    """A connection to an sshd with these options."""

    @asynccontextmanager
    async def opened(**options: str) -> AsyncIterator[Connection]:
        connection = await side.connector().open(endpoint(make_sshd(**options)), ACCEPT)
        try:
            yield connection
        finally:
            await connection.close()

    return opened


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[str]:
    path = tmp_path / "l.sock"
    async with await asyncio.start_unix_server(lambda _, writer: writer.close(), path):
        yield str(path)


async def test_an_sshd_with_its_defaults_allows_everything(opened_with: Opened, listening: str) -> None:
    async with opened_with() as connection:
        abilities = connection.abilities
        assert await abilities.forwards_tcp()
        assert await abilities.forwards_unix([listening])
        assert await abilities.gives_terminals()
        assert await abilities.count_sessions() == 10


async def test_it_is_told_how_it_was_logged_in(opened_with: Opened) -> None:
    async with opened_with() as connection:
        assert connection.login_method == "publickey"
        assert (connection.login_key or "").startswith("ssh-ed25519 SHA256:")
        assert (connection.login_key or "").endswith("(test)")
        assert connection.server_version.startswith("SSH-2.0-OpenSSH")


async def test_no_forwarding_of_ports_is_none_of_sockets_either(opened_with: Opened, listening: str) -> None:
    async with opened_with(AllowTcpForwarding="no", AllowStreamLocalForwarding="yes") as connection:
        assert not await connection.abilities.forwards_tcp()
        assert not await connection.abilities.forwards_unix([listening])


async def test_no_forwarding_of_sockets(opened_with: Opened, listening: str) -> None:
    async with opened_with(AllowStreamLocalForwarding="no") as connection:
        assert await connection.abilities.forwards_tcp()
        assert not await connection.abilities.forwards_unix([listening])


async def test_without_a_socket_to_try_sshd_makes_one_and_takes_it_away(opened_with: Opened) -> None:
    before = set(Path("/tmp").glob("vendetta-*.sock"))
    async with opened_with() as connection:
        assert await connection.abilities.forwards_unix([]) is True
        assert set(Path("/tmp").glob("vendetta-*.sock")) == before


async def test_an_sshd_that_does_not_listen_either(opened_with: Opened) -> None:
    async with opened_with(AllowStreamLocalForwarding="no") as connection:
        assert await connection.abilities.forwards_unix([]) is None


async def test_no_terminals(opened_with: Opened) -> None:
    async with opened_with(PermitTTY="no") as connection:
        assert not await connection.abilities.gives_terminals()


@pytest.mark.parametrize("most", [1, 2, 4])
async def test_few_sessions(opened_with: Opened, most: int) -> None:
    async with opened_with(MaxSessions=str(most)) as connection:
        assert await connection.abilities.count_sessions() == most


async def test_sessions_that_are_open_count(opened_with: Opened) -> None:
    async with opened_with(MaxSessions="4") as connection:
        process = await connection.open_process(["cat"])
        assert await connection.abilities.count_sessions() == 4
        await process.write(b"still there")
        assert await process.read() is not None
        await process.close()


@pytest.mark.parametrize("ability", ["forwards_tcp", "gives_terminals", "count_sessions"])
async def test_a_lost_connection_says_nothing_of_what_is_allowed(opened_with: Opened, ability: str) -> None:
    async with opened_with() as connection:
        await connection.close()
        with pytest.raises(ConnectionLost):
            await getattr(connection.abilities, ability)()
