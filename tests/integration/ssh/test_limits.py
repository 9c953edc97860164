"""Nodes whose sshd allows less than usual."""

import asyncio
from pathlib import Path

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told, endpoint

from vendetta.errors import ConnectFailed, EngineUnavailable, Unsupported
from vendetta.ssh.channel import Connection
from vendetta.ssh.pool import Capacity, Pool
from vendetta.transport import Terminal


async def test_one_session_at_a_time(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(MaxSessions="1")
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    results = await asyncio.gather(*(connection.run(["echo", str(number)]) for number in range(20)))
    assert [result.stdout for result in results] == [b"%d\n" % number for number in range(20)]
    held = await connection.open_process(["cat"])
    running = asyncio.create_task(connection.run(["echo", "hello"]))
    await asyncio.sleep(1.2)  # longer than a session is asked for again before it is waited for
    assert not running.done()
    await held.close()
    assert (await running).stdout == b"hello\n"
    stream = await connection.open_tcp("127.0.0.1", sshd.port)
    assert (await stream.read()).startswith(b"SSH-2.0")
    await stream.close()
    await connection.close()


async def test_few_logins_at_a_time(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(MaxStartups="2:50:3")
    async with Pool(side.connector(), Told(), Capacity(100)) as pool:
        await asyncio.gather(*(pool.connect(endpoint(sshd, f"n{number}"), ACCEPT) for number in range(15)))
        assert len(pool) == 15
    assert sshd.logins == 15


async def test_sockets_that_nobody_serves(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="there is no /nowhere"):
        await connection.open_unix("/nowhere.sock")
    (tmp_path / "f").touch()
    with pytest.raises(EngineUnavailable, match="is not a socket"):
        await connection.open_unix(str(tmp_path / "f"))
    with pytest.raises(ConnectFailed) as refused:
        await connection.open_tcp("127.0.0.1", 1)
    assert "port 1" in (refused.value.hint or "")


async def test_streams_end_on_one_side_first(connection: Connection, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + str(len(await reader.read())).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "s", limit=2**16):
        stream = await connection.open_unix(str(tmp_path / "s"))
        for _ in range(100):
            await stream.write(bytes(2**18))
        await stream.write_eof()
        assert await stream.read() == b"got " + str(100 * 2**18).encode()
        assert await stream.read() == b""
        await stream.close()
        await stream.close()


async def test_no_terminals(make_sshd: MakeSshd, side: Side) -> None:
    connection = await side.connector().open(endpoint(make_sshd(PermitTTY="no")), ACCEPT)
    with pytest.raises(Unsupported, match="gives no terminal") as refused:
        await connection.open_process(["true"], terminal=Terminal())
    assert "PermitTTY yes" in (refused.value.hint or "")
    process = await connection.open_process(["true"])
    assert await process.wait() == 0
    await connection.close()


async def test_a_banner_is_no_hindrance(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    (tmp_path / "banner").write_text("Authorized use only\n" * 50)
    connection = await side.connector().open(endpoint(make_sshd(Banner=str(tmp_path / "banner"))), ACCEPT)
    assert (await connection.run(["echo", "hello"])).stdout == b"hello\n"
    await connection.close()
