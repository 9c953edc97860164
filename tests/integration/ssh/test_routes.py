"""The ways to a node that ssh_config tells of, proxies, and IPv6."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.integration.ssh.conftest import ACCEPT, MakeSshd, Side, endpoint
from tests.integration.ssh.sshd import Sshd

from vendetta.errors import ConnectFailed, LinkError
from vendetta.ssh.endpoint import Endpoint

BY_NAME = Endpoint(node="n", host="gpu")


async def reached(side: Side, by: Endpoint = BY_NAME) -> bool:
    connector = side.connector()
    connection = await connector.open(by, ACCEPT)
    try:
        return (await connection.run(["true"])).exit_status == 0
    finally:
        await connection.close()
        await connector.close()


def block(sshd: Sshd, name: str = "gpu", *more: str) -> str:
    lines = ["HostName 127.0.0.1", f"Port {sshd.port}", "User root", f"IdentityFile {sshd.key}", *more]
    return f"Host {name}\n" + "".join(f"  {line}\n" for line in lines)


async def test_host_patterns_and_the_first_value_that_matches(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    side.ssh_config.write_text(
        block(sshd, "gpu !cpu") + f"Host g*\n  Port 1\n  User nobody\nHost *\n  IdentityFile {sshd.key}\n"
    )
    assert await reached(side)


async def test_match_host_and_exec(make_sshd: MakeSshd, side: Side, tmp_path: Path) -> None:
    sshd = make_sshd()
    inside = "".join(f"  {line}\n" for line in block(sshd).splitlines()[1:])
    for match in ("host gpu", "originalhost gpu", f"exec \"test -d '{tmp_path}'\"", "all"):
        side.ssh_config.write_text(f"Match {match}\n{inside}")
        assert await reached(side), match
    side.ssh_config.write_text(f"Match exec false\n{inside}")
    with pytest.raises(ConnectFailed, match="there is no host gpu"):
        await reached(side)


async def test_include_with_patterns(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    (side.ssh_dir / "conf.d").mkdir()
    (side.ssh_dir / "conf.d" / "a.conf").write_text(block(sshd))
    side.ssh_config.write_text(f"Include {side.ssh_dir}/conf.d/*.conf\n")
    assert await reached(side)


async def test_what_the_endpoint_says_counts_more(make_sshd: MakeSshd, side: Side) -> None:
    sshd = make_sshd()
    side.ssh_config.write_text("Host gpu\n  HostName 127.0.0.1\n  Port 1\n  User nobody\n")
    assert await reached(side, Endpoint(node="n", host="gpu", port=sshd.port, user="root", identity=str(sshd.key)))


async def test_proxy_jump_and_none(make_sshd: MakeSshd, side: Side) -> None:
    door, sshd = make_sshd(), make_sshd()
    side.ssh_config.write_text(block(sshd, "gpu", "ProxyJump door") + block(door, "door"))
    assert await reached(side)
    assert door.logins == 1
    side.ssh_config.write_text(block(sshd, "gpu", "ProxyJump none") + "Host *\n  ProxyJump door\n")
    assert await reached(side)
    assert door.logins == 1


async def test_a_jump_that_is_given_goes_before_that_of_the_config(make_sshd: MakeSshd, side: Side) -> None:
    door, other, sshd = make_sshd(), make_sshd(), make_sshd()
    side.ssh_config.write_text(block(sshd, "gpu", "ProxyJump other") + block(door, "door") + block(other, "other"))
    assert await reached(side, Endpoint(node="n", host="gpu", jump=("door",)))
    assert (door.logins, other.logins) == (1, 0)


@pytest.mark.parametrize("proxy", ["5", "connect"])
async def test_a_proxy_by_proxy_command(make_sshd: MakeSshd, side: Side, proxy: str) -> None:
    if shutil.which("nc") is None:
        pytest.skip("needs OpenBSD's nc")
    sshd = make_sshd()
    serve = serve_socks if proxy == "5" else serve_connect
    async with listening(serve) as (port, passed):
        side.ssh_config.write_text(block(sshd, "gpu", f"ProxyCommand nc -X {proxy} -x 127.0.0.1:{port} %h %p"))
        assert await reached(side)
        assert passed == [sshd.port]


async def test_a_proxy_command_that_fails(make_sshd: MakeSshd, side: Side) -> None:
    side.ssh_config.write_text(block(make_sshd(), "gpu", "ProxyCommand false"))
    with pytest.raises(LinkError):
        await reached(side)


async def test_ipv6(make_sshd: MakeSshd, side: Side) -> None:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    sshd = make_sshd(ListenAddress="::1")
    assert await reached(side, endpoint(sshd, host="::1"))
    side.ssh_config.write_text(block(sshd).replace("127.0.0.1", "::1"))
    assert await reached(side)
    door = make_sshd()
    (side.ssh_dir / "id_ed25519").write_text(door.key.read_text())
    (side.ssh_dir / "id_ed25519").chmod(0o600)
    jump = (f"root@127.0.0.1:{door.port}",)
    assert await reached(side, endpoint(sshd, "m", host="::1", jump=jump))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def listening(serve: object) -> AsyncIterator[tuple[int, list[int]]]:
    """A proxy, its port, and the ports that it was asked for."""
    passed: list[int] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            port = await serve(reader, writer)  # type: ignore[operator]
            passed.append(port)
            there = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))

    async with await asyncio.start_server(accept, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1], passed


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve_socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """RFC 1928: no authentication, an IPv4 address."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    await reader.readexactly(4 + 4)
    port = int.from_bytes(await reader.readexactly(2), "big")
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    return port


async def serve_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """RFC 9110, 9.3.6."""
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
    return int(head.split()[1].rpartition(b":")[2])
