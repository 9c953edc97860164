"""The relay's script, run by this machine's own shell against a port on its loopback."""

import asyncio
import sys
from pathlib import Path

import pytest

from vendetta.providers.relay import build_relay


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.read())
    writer.write_eof()
    writer.close()


@pytest.fixture
def only_python(tmp_path: Path) -> dict[str, str]:
    """An environment where python3 is all there is."""
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    return {"PATH": str(tmp_path)}


async def _relay(port: int, input: bytes, env: dict[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *build_relay(port), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=env
    )
    stdout, _ = await asyncio.wait_for(process.communicate(input), 20)
    return stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_python_carries_the_bytes(only_python: dict[str, str], host: str) -> None:
    server = await asyncio.start_server(_echo, host, 0)
    port = server.sockets[0].getsockname()[1]
    data = bytes(range(256)) * 100
    assert await _relay(port, data, only_python) == b"open\n" + data
    server.close()
    await server.wait_closed()


async def test_a_closed_port_is_told(only_python: dict[str, str]) -> None:
    assert await _relay(1, b"", only_python) == b"closed\n"


async def test_an_image_without_a_relay_says_so(tmp_path: Path) -> None:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await _relay(port, b"", {"PATH": str(tmp_path)}) == b"lacking\n"
    server.close()
    await server.wait_closed()
