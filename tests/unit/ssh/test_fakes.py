"""The fake keeps the transport's contract as far as providers see it."""

import pytest
from tests.unit.fakes import FakeProcess, FakeStream, FakeTransport

from vendetta.errors import ConnectFailed, ConnectionLost, EngineUnavailable
from vendetta.transport import CommandResult, Output, Process, Stream, Transport


async def test_it_answers_as_it_was_told() -> None:
    fake = FakeTransport()
    transport: Transport = fake
    fake.on_run("id", stdout=b"0")
    fake.on_run("id", answer=ConnectionLost("gone"))
    assert await transport.run(["id"], input=b"x") == CommandResult(0, b"0", b"")
    with pytest.raises(ConnectionLost):
        await transport.run(["id"])
    assert fake.ran[0] == (("id",), b"x")
    with pytest.raises(AssertionError, match="nobody said"):
        await transport.run(["rm"])
    with pytest.raises(EngineUnavailable):
        transport.http("/run/none")


async def test_its_streams_and_processes_end() -> None:
    fake = FakeTransport()
    fake.on_tcp("a", 1, FakeStream(b"hello"))
    fake.on_tcp("a", 2, ConnectFailed("no"))
    stream: Stream = await fake.open_tcp("a", 1)
    assert (await stream.read(2), await stream.read(), await stream.read()) == (b"he", b"llo", b"")
    with pytest.raises(ConnectFailed):
        await fake.open_tcp("a", 2)
    fake.on_process("ls", process=FakeProcess([Output("stdout", b"x")], exit_status=3))
    process: Process = await fake.open_process(["ls"])
    assert await process.read() == Output("stdout", b"x")
    assert (await process.read(), await process.wait()) == (None, 3)
