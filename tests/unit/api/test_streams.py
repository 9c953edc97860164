"""Processes and ports over WebSockets: bytes both ways, and clean ends in every direction."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.api.conftest import Served
from tests.unit.api.fakes import FakeProcess
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from vendetta.errors import ConnectFailed, ConnectionLost
from vendetta.transport import Output

PIECE = b"x" * 65536


async def echo(process: FakeProcess) -> int:
    while (data := await process.input.get()) is not None:
        await process.output.put(Output("stdout", data))
    await process.output.put(Output("stderr", b"done"))
    return 3


async def sleep(process: FakeProcess) -> int:
    await asyncio.Event().wait()
    return 0


async def ended(channel: ClientConnection) -> dict[str, Any]:
    """The last thing said; the close that follows is a clean one."""
    last: dict[str, Any] = json.loads(await channel.recv())
    with pytest.raises(ConnectionClosed):
        await channel.recv()
    assert channel.close_code == 1000
    return last


async def settled(counted: Callable[[], int]) -> int:
    """The count once it no longer rises."""
    before = -1
    while (now := counted()) != before:
        before = now
        await asyncio.sleep(0.2)
    return now


async def test_a_process_has_its_streams_and_its_status(served: Served) -> None:
    served.services.node_processes.script = echo
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send(json.dumps({"argv": ["cat"], "tty": True, "columns": 100}))
        await channel.send(b"hello")
        assert await channel.recv() == b"\x01hello"
        await channel.send('{"resize": {"columns": 120, "rows": 40}}')
        await channel.send('{"signal": "INT"}')
        await channel.send('{"eof": true}')
        assert await channel.recv() == b"\x02done"
        assert await ended(channel) == {"exit_status": 3}
    [process] = served.services.node_processes.processes
    await process.closed.wait()
    assert process.told == [(120, 40), "INT"]
    [request] = served.services.node_processes.asked
    assert (request.argv, request.tty, request.columns) == (["cat"], True, 100)


async def test_a_console_has_the_terminals_size(served: Served) -> None:
    async with served.channel("/workspaces/web/console") as channel:
        await channel.send('{"tty": true, "columns": 132}')
        assert await channel.recv() == b"\x01132 columns"
        assert await ended(channel) == {"exit_status": 0}


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"argv": ["x"], "colums": 1}', "invalid_input"),
        ("[]", "invalid_input"),
        ("{", "invalid_input"),
        (b"bytes", "invalid_input"),
    ],
)
async def test_a_request_that_makes_no_sense_is_a_problem(served: Served, first: str | bytes, code: str) -> None:
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send(first)
        assert (await ended(channel))["problem"]["code"] == code


@pytest.mark.parametrize("message", ['{"eof": 1}', '{"resize": {"columns": -1, "rows": 2}}', '{"what": 1}'])
async def test_a_message_that_makes_no_sense_ends_the_process(served: Served, message: str) -> None:
    served.services.node_processes.script = sleep
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        await channel.send(message)
        problem = (await ended(channel))["problem"]
    assert (problem["code"], problem["status"]) == ("invalid_input", 400)
    await served.services.node_processes.processes[0].closed.wait()


async def test_what_can_not_begin_is_a_problem(served: Served) -> None:
    async with served.channel("/nodes/none/exec") as channel:
        await channel.send("{}")
        assert (await ended(channel))["problem"]["code"] == "node_not_found"


async def test_a_mistake_of_ours_leaks_nothing(served: Served) -> None:
    async def broken(process: FakeProcess) -> int:
        await process.output.put(None)
        raise RuntimeError("the secret inside")

    served.services.node_processes.script = broken
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        problem = (await ended(channel))["problem"]
    assert problem["code"] == "internal"
    assert "secret" not in json.dumps(problem)


async def test_input_that_is_not_taken_does_not_hide_the_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = asyncio.Event()

    async def refuse(process: FakeProcess, data: bytes) -> None:
        refused.set()
        raise ConnectionLost("the program takes no more")

    async def say_something(process: FakeProcess) -> int:
        await refused.wait()
        await process.output.put(Output("stdout", b"enough"))
        return 0

    monkeypatch.setattr(FakeProcess, "write", refuse)
    served.services.node_processes.script = say_something
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        await channel.send(b"more")
        assert await channel.recv() == b"\x01enough"
        assert await ended(channel) == {"exit_status": 0}


async def test_the_process_ends_with_its_caller(served: Served) -> None:
    served.services.node_processes.script = echo
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        await channel.send(b"x")
        await channel.recv()
    await asyncio.wait_for(served.services.node_processes.processes[0].closed.wait(), 30)


async def test_the_process_ends_with_its_caller_also_when_it_takes_no_input(
    served: Served,
) -> None:
    served.services.node_processes.script = sleep
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        for _ in range(4):
            await channel.send(b"x")
        while not (processes := served.services.node_processes.processes) or not processes[0].input.full():
            await asyncio.sleep(0.01)
        channel.transport.abort()
    await asyncio.wait_for(processes[0].closed.wait(), 30)


async def test_a_slow_reader_holds_the_process_up(served: Served) -> None:
    total, written = 2000, 0

    async def flood(process: FakeProcess) -> int:
        nonlocal written
        for _ in range(total):
            written += 1
            await process.output.put(Output("stdout", PIECE))
        return 0

    served.services.node_processes.script = flood
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        assert await channel.recv() == b"\x01" + PIECE
        assert await settled(lambda: written) < total / 4
        received = 1
        while not isinstance(message := await channel.recv(), str):
            received += len(message) == len(PIECE) + 1
        assert (received, json.loads(message)) == (total, {"exit_status": 0})


async def test_a_slow_process_holds_the_caller_up(served: Served) -> None:
    total, sent, may_read = 2000, 0, asyncio.Event()

    async def count(process: FakeProcess) -> int:
        await may_read.wait()
        taken = 0
        while (data := await process.input.get()) is not None:
            taken += len(data)
        return taken // len(PIECE)

    async def send_all(channel: ClientConnection) -> None:
        nonlocal sent
        for _ in range(total):
            sent += 1
            await channel.send(PIECE)
        await channel.send('{"eof": true}')

    served.services.node_processes.script = count
    async with served.channel("/nodes/gpu/exec") as channel:
        await channel.send("{}")
        sending = asyncio.create_task(send_all(channel))
        assert 0 < await settled(lambda: sent) < total / 4
        may_read.set()
        assert await ended(channel) == {"exit_status": total}
        await sending


async def test_a_port_has_both_directions_and_each_ends_by_itself(served: Served) -> None:
    async with served.channel("/workspaces/web/ports/80") as channel:
        assert json.loads(await channel.recv()) == {"open": True}
        [stream] = served.services.workspaces.streams
        await channel.send(b"question")
        assert await stream.written.get() == b"question"
        await channel.send('{"eof": true}')
        assert await stream.written.get() == b""
        await stream.arriving.put(b"answer")
        assert await channel.recv() == b"answer"
        await stream.arriving.put(b"")
        assert await ended(channel) == {"eof": True}
    await stream.closed.wait()


async def test_a_port_may_end_first(served: Served) -> None:
    async with served.channel("/workspaces/web/ports/80") as channel:
        await channel.recv()
        [stream] = served.services.workspaces.streams
        await stream.arriving.put(b"")
        assert json.loads(await channel.recv()) == {"eof": True}
        await channel.send(b"late")
        assert await stream.written.get() == b"late"
        assert not stream.closed.is_set()
    await asyncio.wait_for(stream.closed.wait(), 30)


async def test_a_port_that_is_closed_is_a_problem(served: Served) -> None:
    served.services.workspaces.refusal = ConnectFailed("nothing listens on port 80")
    async with served.channel("/workspaces/web/ports/80") as channel:
        assert (await ended(channel))["problem"]["code"] == "connect_failed"


@pytest.mark.parametrize("path", ["/nodes/gpu/exec", "/workspaces/web/ports/80"])
async def test_streams_are_told_that_the_server_stops(served: Served, path: str) -> None:
    served.services.node_processes.script = sleep
    async with served.channel(path) as channel:
        if path.endswith("exec"):
            await channel.send("{}")
            while not served.services.node_processes.processes:
                await asyncio.sleep(0.01)
        else:
            await channel.recv()
        served.services.stopping.set()
        assert (await ended(channel))["problem"]["code"] == "server_unavailable"
    ends = [*served.services.node_processes.processes, *served.services.workspaces.streams]
    await asyncio.wait_for(ends[0].closed.wait(), 30)


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("/nodes/gpu/exec", None, 401, "unauthorized"),
        ("/nodes/gpu/exec", "wrong", 401, "unauthorized"),
        ("/nodes/gpu/exec", "viewer", 403, "forbidden"),
        ("/nowhere", "admin", 404, "not_found"),
        ("/workspaces/web/ports/99999", "user", 400, "invalid_input"),
        ("/workspaces/web/ports/ssh", "user", 400, "invalid_input"),
    ],
)
async def test_what_is_refused_is_no_websocket(
    served: Served, path: str, token: str | None, status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await served.far_channel(path, token).__aenter__()
    answer = caught.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body or b"")["code"] == code


async def test_a_token_opens_a_channel_by_tcp(served: Served) -> None:
    served.services.node_processes.script = echo
    async with served.far_channel("/nodes/gpu/exec", "user") as channel:
        await channel.send("{}")
        await channel.send(b"far")
        assert await channel.recv() == b"\x01far"
