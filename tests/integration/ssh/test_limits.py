"""Nodes whose sshd allows less than usual."""

import asyncio
from pathlib import Path

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, Told, endpoint

from vendetta.errors import ConnectFailed, EngineUnavailable, NotFound, Unsupported
from vendetta.ssh.connection import Connection
from vendetta.ssh.pool import Pool
from vendetta.transport import Terminal


async def test_one_session_at_a_time(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    sshd = make_sshd(MaxSessions="1")
    connection = await side.connector().open(endpoint(sshd), ACCEPT)
    results = await asyncio.gather(*(connection.run(["echo", str(number)]) for number in range(20)))
    assert [result.stdout for result in results] == [b"%d\n" % number for number in range(20)]
    held = await connection.open_process(["cat"])
    (tmp_path / "file").write_bytes(b"content")
    copying = asyncio.create_task(connection.put(tmp_path / "file", str(tmp_path / "copy")))
    running = asyncio.create_task(connection.run(["echo", "hello"]))
    await asyncio.sleep(1.2)  # longer than a session is asked for again before it is waited for
    assert not copying.done()
    await held.close()
    await copying
    assert (await running).stdout == b"hello\n"
    assert (tmp_path / "copy").read_bytes() == b"content"
    stream = await connection.open_tcp("127.0.0.1", sshd.port)
    assert (await stream.read()).startswith(b"SSH-2.0")
    await stream.close()
    await connection.close()


async def test_few_logins_at_a_time(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd(MaxStartups="2:50:3")
    async with Pool(side.connector(), Told()) as pool:
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


async def test_files_and_folders_are_copied_with_progress(connection: Connection, tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "deeper"
    tree.mkdir(parents=True)
    (tree / "big").write_bytes(bytes(3_000_000))
    seen: list[tuple[int, int | None]] = []
    await connection.put(tmp_path / "tree", str(tmp_path / "there"), on_bytes=lambda *step: seen.append(step))
    assert seen[-1] == (3_000_000, 3_000_000)
    await connection.get(str(tmp_path / "there"), tmp_path / "back")
    assert (tmp_path / "back" / "deeper" / "big").stat().st_size == 3_000_000


@pytest.mark.parametrize("copy", ["put", "get"])
async def test_a_file_that_is_not_there(connection: Connection, tmp_path: Path, copy: str) -> None:
    nowhere, x = tmp_path / "nowhere", tmp_path / "x"
    copying = connection.put(nowhere, str(x)) if copy == "put" else connection.get(str(nowhere), x)
    with pytest.raises(NotFound, match="nowhere"):
        await copying
    assert (await connection.run(["true"])).exit_status == 0


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
