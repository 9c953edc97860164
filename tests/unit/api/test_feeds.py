"""Server-sent events and logs: resumed, kept alive, and ended when the caller goes or the server stops."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count

import httpx
import pytest
from tests.unit.api.conftest import Served
from tests.unit.client.samples import EVENT, OPERATION

from vendetta.api import feeds
from vendetta.api.feeds import until_stopping
from vendetta.api.services import Services
from vendetta.errors import ConnectionLost, EngineUnavailable
from vendetta.transport import Output

EVENTS = "/api/v1/events"
SSE = {"Accept": "text/event-stream"}


async def settle() -> None:
    """Everything that can go on without us has."""
    for _ in range(10):
        await asyncio.sleep(0)


async def read_until(lines: AsyncIterator[str], wanted: str) -> list[str]:
    """The lines up to the first that begins so."""
    seen = []
    async for line in lines:
        seen.append(line)
        if line.startswith(wanted):
            return seen
    raise AssertionError(f"no {wanted} in {seen}")


async def test_events_are_numbered_resumed_and_live(served: Served) -> None:
    headers = {**SSE, "Last-Event-ID": "2"}
    async with served.local.stream("GET", f"{EVENTS}?since=1", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        kept = await read_until(lines, "data: ")
        assert kept[:2] == ["retry: 1000", ""]
        assert kept[2] == "id: 3"
        await served.services.events.news.put(EVENT)
        assert (await read_until(lines, "data: "))[1] == "id: 7"


async def test_what_is_there_is_given_at_once_and_read_ahead_no_further(services: Services) -> None:
    taken = []

    async def endless() -> AsyncIterator[int]:
        for number in count():
            taken.append(number)
            yield number

    async with aclosing(until_stopping(endless(), services, at_once=3)) as batches:
        assert await anext(batches) == (0, 1, 2)
        await settle()
        assert taken == [0, 1, 2, 3, 4, 5]
        assert await anext(batches) == (3, 4, 5)


@pytest.mark.parametrize("at_once", [1, 2, 3])
async def test_what_came_before_a_source_failed_is_given_first(services: Services, at_once: int) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise ConnectionLost("the link to the node is lost")

    batches = until_stopping(failing(), services, at_once=at_once)
    if at_once == 1:
        assert [await anext(batches), await anext(batches)] == [(1,), (2,)]
    else:
        assert await anext(batches) == (1, 2)
    with pytest.raises(ConnectionLost):
        await anext(batches)


async def test_a_source_is_left_while_it_waits_to_be_read(services: Services) -> None:
    left = asyncio.Event()

    async def held() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            left.set()

    async with aclosing(until_stopping(held(), services)) as batches:
        await anext(batches)
        await settle()
    assert left.is_set()


async def test_a_silent_stream_is_kept_alive(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "KEEP_ALIVE_SECONDS", 0.05)
    async with served.local.stream("GET", EVENTS, headers=SSE) as answer:
        lines = answer.aiter_lines()
        for _ in range(3):
            await read_until(lines, ": ")


async def test_a_stream_says_that_the_server_stops(served: Served) -> None:
    async with served.local.stream("GET", EVENTS, headers=SSE) as answer:
        lines = answer.aiter_lines()
        await read_until(lines, "retry")
        served.services.stopping.set()
        assert (await read_until(lines, ": "))[-1] == ": the server is stopping"


async def test_events_are_a_page_for_who_does_not_stream(served: Served) -> None:
    assert [event["sequence"] for event in (await served.local.get(f"{EVENTS}?since=1")).json()["items"]] == [2, 3]
    answer = await served.local.get(EVENTS, headers={"Last-Event-ID": "x"})
    assert answer.json()["code"] == "invalid_input"


async def test_an_operation_is_watched_to_its_end(served: Served) -> None:
    async with served.local.stream("GET", "/api/v1/operations/op1/watch") as answer:
        lines = answer.aiter_lines()
        assert '"running"' in (await read_until(lines, "data: "))[-1]
        served.services.operations.release.set()
        assert '"succeeded"' in (await read_until(lines, "data: "))[-1]
        assert [line async for line in lines if line] == []
    assert (await served.local.get("/api/v1/operations/none/watch")).status_code == 404
    assert OPERATION.id == "op1"


async def test_logs_come_as_they_are(served: Served) -> None:
    pieces = served.services.workspaces.pieces
    await pieces.put(Output("stdout", b"one\n"))
    async with served.local.stream("GET", "/api/v1/workspaces/web/logs?follow=true") as answer:
        assert answer.headers["content-type"] == "application/octet-stream"
        body = answer.aiter_raw()
        assert await anext(body) == b"one\n"
        await pieces.put(Output("stderr", b"two\n"))
        assert await anext(body) == b"two\n"
        await pieces.put(None)
        assert [piece async for piece in body] == []


async def test_what_goes_wrong_before_the_first_byte_is_a_problem(served: Served) -> None:
    assert (await served.local.get("/api/v1/workspaces/none/logs")).status_code == 404
    await served.services.workspaces.pieces.put(EngineUnavailable("nobody answers"))
    answer = await served.local.get("/api/v1/workspaces/web/logs")
    assert (answer.status_code, answer.json()["code"]) == (503, "engine_unavailable")


async def test_no_logs_are_no_bytes(served: Served) -> None:
    await served.services.workspaces.pieces.put(None)
    answer = await served.local.get("/api/v1/workspaces/web/logs?tail=0")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("end", ["link", "server"])
async def test_logs_that_break_off_are_not_mistaken_for_their_end(served: Served, end: str) -> None:
    pieces = served.services.workspaces.pieces
    await pieces.put(Output("stdout", b"one\n"))
    async with served.local.stream("GET", "/api/v1/workspaces/web/logs?follow=true") as answer:
        body = answer.aiter_raw()
        await anext(body)
        if end == "link":
            await pieces.put(ConnectionLost("the link to the node is lost"))
        else:
            served.services.stopping.set()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(body)
    await asyncio.wait_for(served.services.workspaces.logs_closed.wait(), 30)


@pytest.mark.parametrize("end", ["link", "server"])
async def test_logs_in_lines_say_why_they_break_off(served: Served, end: str) -> None:
    pieces = served.services.workspaces.pieces
    await pieces.put(Output("stdout", b"\xff\n"))
    url, lined = "/api/v1/workspaces/web/logs?follow=true", {"Accept": "application/x-ndjson"}
    async with served.local.stream("GET", url, headers=lined) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = answer.aiter_lines()
        assert json.loads(await anext(lines)) == {"channel": "stdout", "data": "/wo="}
        if end == "link":
            await pieces.put(ConnectionLost("the link to the node is lost"))
        else:
            served.services.stopping.set()
        (last,) = [json.loads(line) async for line in lines if line]
    code, words = {"link": ("connection_lost", "the link"), "server": ("server_unavailable", "is stopping")}[end]
    assert (last["problem"]["code"], words in last["problem"]["detail"]) == (code, True)


async def test_the_node_is_let_go_when_the_reader_goes(served: Served) -> None:
    await served.services.workspaces.pieces.put(Output("stdout", b"one\n"))
    async with served.local.stream("GET", "/api/v1/workspaces/web/logs?follow=true") as answer:
        await anext(answer.aiter_raw())
    await asyncio.wait_for(served.services.workspaces.logs_closed.wait(), 30)
