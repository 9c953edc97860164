import asyncio
from pathlib import Path

import aiohttp
import pytest

from vendetta.providers.docker.frames import Frames
from vendetta.providers.docker.hijack import Hijacked

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
FRAME = b"\x01\0\0\0\0\0\0\x02ab"


async def _answer_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(UPGRADED + FRAME)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("pause", [0, 0.05])
async def test_an_engine_that_is_done_before_anyone_looks(tmp_path: Path, pause: float) -> None:
    """The program ended at once: its output and its end are there although nobody tells of them any more."""
    server = await asyncio.start_unix_server(_answer_and_go, tmp_path / "socket")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "socket"))) as session:
        response = await session.post("http://docker/", headers={"Connection": "Upgrade", "Upgrade": "tcp"})
        await asyncio.sleep(pause)
        stream = Hijacked(response)
        frames = Frames(stream.reader)
        async with asyncio.timeout(10):
            piece = await frames.read()
            assert piece is not None
            assert piece.data == b"ab"
            assert await frames.read() is None
        await stream.write(b"too late")
        stream.write_eof()
        stream.close()
        stream.close()
    server.close()
    await server.wait_closed()
