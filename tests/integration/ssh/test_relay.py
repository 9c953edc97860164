"""Sockets and ports where sshd forwards none, or the user may not use them: a program of the node carries the bytes."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.conftest import NodeFactory
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Opening, Side, endpoint, endpoint_of
from tests.integration.ssh.sshd import Sshd
from tests.testbed import Node

from vendetta.errors import ConnectFailed, EngineForbidden, EngineUnavailable, ForwardingRefused
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Login

FORBIDDEN = {"AllowTcpForwarding": "no", "AllowStreamLocalForwarding": "no"}
MEBIBYTES = 8


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """How many bytes came until the end, and as many back."""
    said = await reader.read()
    writer.write(b"got %d\n" % len(said) + said)
    await writer.drain()
    writer.close()


@asynccontextmanager
async def narrow(make_sshd: MakeSshd, side: Side, **options: str) -> AsyncIterator[tuple[Sshd, Connection]]:
    sshd = make_sshd(**{**FORBIDDEN, **options})
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    try:
        yield sshd, connection
    finally:
        await connection.close()


async def ask(connection: Connection, path: Path, data: bytes) -> bytes:
    stream = await connection.open_unix(str(path))
    await stream.write(data)
    await stream.write_eof()
    said = b""
    while more := await stream.read():
        said += more
    await stream.close()
    return said


@pytest.mark.parametrize(
    "options",
    [{"AllowStreamLocalForwarding": "no"}, {"DisableForwarding": "yes"}, {"AllowTcpForwarding": "no"}],
    ids=lambda options: next(iter(options)),
)
async def test_a_socket_and_a_port_are_reached_all_the_same(
    make_sshd: MakeSshd, side: Side, tmp_path: Path, options: dict[str, str]
) -> None:
    async with narrow(make_sshd, side, **options) as (sshd, connection):
        async with await asyncio.start_unix_server(answer, tmp_path / "s"):
            data = os.urandom(MEBIBYTES * 2**20)
            assert await ask(connection, tmp_path / "s", data) == b"got %d\n" % len(data) + data
        port = await connection.open_tcp("127.0.0.1", sshd.port)
        assert (await port.read()).startswith(b"SSH-2.0-")
        await port.close()


@pytest.mark.parametrize("program", ["python3", "socat", "nc"])
async def test_by_whichever_program_the_node_has(make_sshd: MakeSshd, side: Side, tmp_path: Path, program: str) -> None:
    async with narrow(make_sshd, side, SetEnv=only(tmp_path, program)) as (sshd, connection):
        async with await asyncio.start_unix_server(answer, tmp_path / "s"):
            assert await ask(connection, tmp_path / "s", b"x" * 100_000) == b"got 100000\n" + b"x" * 100_000
        port = await connection.open_tcp("127.0.0.1", sshd.port)
        assert (await port.read()).startswith(b"SSH-2.0-")
        await port.close()


async def test_a_node_without_any_such_program(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    async with narrow(make_sshd, side, SetEnv=only(tmp_path)) as (_, connection):
        async with await asyncio.start_unix_server(answer, tmp_path / "s"):
            with pytest.raises(ForwardingRefused, match="no program there") as refused:
                await connection.open_unix(str(tmp_path / "s"))
        assert "AllowStreamLocalForwarding yes" in (refused.value.hint or "")


async def test_what_nobody_serves_is_told_as_where_it_is_forwarded(
    make_sshd: MakeSshd, side: Side, tmp_path: Path
) -> None:
    async with narrow(make_sshd, side) as (_, connection):
        with pytest.raises(ConnectFailed, match="refused") as refused:
            await connection.open_tcp("127.0.0.1", 1)
        assert "port 1" in (refused.value.hint or "")
        async with await asyncio.start_unix_server(answer, tmp_path / "s") as server:
            await ask(connection, tmp_path / "s", b"x")
            server.close()
            await server.wait_closed()
        with pytest.raises(EngineUnavailable, match="nobody answers"):
            await connection.open_unix(str(tmp_path / "s"))


async def test_a_peer_that_ends_first_ends_the_stream(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with narrow(make_sshd, side) as (_, connection), await asyncio.start_unix_server(hang_up, tmp_path / "s"):
        stream = await connection.open_unix(str(tmp_path / "s"))
        assert await stream.read() == b""
        await stream.close()


@pytest.mark.parametrize("sessions", ["1", "2"])
async def test_many_at_once_where_few_sessions_are_allowed(
    make_sshd: MakeSshd, side: Side, tmp_path: Path, sessions: str
) -> None:
    async with narrow(make_sshd, side, MaxSessions=sessions) as (_, connection):
        async with await asyncio.start_unix_server(answer, tmp_path / "s"):
            asked = (ask(connection, tmp_path / "s", b"x" * number) for number in range(12))
            ran = (connection.run(["echo", str(number)]) for number in range(6))
            answers, results = await asyncio.gather(asyncio.gather(*asked), asyncio.gather(*ran))
        assert answers == [b"got %d\n" % number + b"x" * number for number in range(12)]
        assert [int(result.stdout) for result in results] == list(range(6))


async def test_http_goes_the_same_way(docker_node_without_forwarding: Node, opened: Opening) -> None:
    async with opened(docker_node_without_forwarding) as connection:
        connector = connection.http("/var/run/docker.sock")
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:

            async def ping() -> str:
                async with session.get("http://docker/_ping") as answer:
                    return await answer.text()

            assert set(await asyncio.gather(*(ping() for _ in range(30)))) == {"OK"}


@pytest.fixture
def docker_node_without_forwarding(make_node: NodeFactory) -> Node:
    return make_node(docker=True, sshd=FORBIDDEN)


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/fish", "/bin/csh", "/bin/dash"])
async def test_whatever_the_shell_and_however_noisy_the_login(
    make_node: NodeFactory, opened: Opening, shell: str
) -> None:
    if not Path(shell).exists():
        pytest.skip(f"needs the shell {shell}")
    node = make_node(sshd=FORBIDDEN)
    node.run(["usermod", "--shell", shell, node.user])
    node.path(f"/home/{node.user}/.bashrc").write_text("echo welcome; printf 'no newline'; echo oops >&2\n")
    async with opened(node) as connection:
        port = await connection.open_tcp("127.0.0.1", node.port)
        assert (await port.read()).startswith(b"SSH-2.0-")
        await port.close()


async def test_a_socket_that_the_user_may_not_use_is_used_by_sudo(make_node: NodeFactory, side: Side) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="nopasswd")
    connection = await side.connector().open(endpoint_of(node), ACCEPT)
    with pytest.raises(EngineForbidden) as denied:
        await connection.open_unix("/var/run/docker.sock")
    assert f"usermod -aG docker {node.user}" in (denied.value.hint or "")
    assert "vendetta node edit gpu --sudo" in (denied.value.hint or "")
    await connection.close()
    connection = await side.connector().open(endpoint_of(node, sudo=True))
    assert await version(connection)
    node.stop_engine("docker")
    with pytest.raises(EngineUnavailable):
        await version(connection)
    await connection.close()


async def test_sudo_with_its_password_and_with_a_wrong_one(make_node: NodeFactory, side: Side) -> None:
    node = make_node(docker=True, in_docker_group=False, sudo="password")
    for password, said in ((None, "password is required"), ("wrong", "incorrect|Sorry|no password")):
        connection = await side.connector().open(
            endpoint_of(node, sudo=True), Login(accept_new=True, sudo_password=password)
        )
        with pytest.raises(EngineForbidden, match=said) as refused:
            await connection.open_unix("/var/run/docker.sock")
        assert "NOPASSWD" in (refused.value.hint or "")
        assert "--sudo-password" in (refused.value.hint or "")
        assert "wrong" not in str(refused.value.details)
        await connection.close()
    login = Login(accept_new=True, sudo_password=node.password)
    connection = await side.connector().open(endpoint_of(node, sudo=True), login)
    assert node.password not in repr(login)
    assert await version(connection)
    assert await version(connection)
    await connection.close()


async def test_who_may_not_use_sudo_at_all(make_node: NodeFactory, side: Side) -> None:
    node = make_node(docker=True, in_docker_group=False)
    connection = await side.connector().open(endpoint_of(node, sudo=True), ACCEPT)
    with pytest.raises(EngineForbidden, match="use sudo on node gpu"):
        await connection.open_unix("/var/run/docker.sock")
    await connection.close()


async def version(connection: Connection) -> str:
    connector = connection.http("/var/run/docker.sock")
    async with (
        aiohttp.ClientSession(connector=connector, connector_owner=False) as session,
        session.get("http://docker/version") as answer,
    ):
        return str((await answer.json())["Version"])


def only(tmp_path: Path, *programs: str) -> str:
    """The environment of a node that has no programs but the plainest and these."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "cat", "grep", "stat", *programs):
        found = sys.executable if program == "python3" else shutil.which(program)
        if found is None:
            pytest.skip(f"needs {program}")
        # a script, because some programs look for their own files beside themselves
        (folder / program).write_text(f'#!/bin/sh\nexec {os.path.realpath(found)} "$@"\n')
        (folder / program).chmod(0o755)
    return f"HOME={{directory}}/home PATH={folder}"
