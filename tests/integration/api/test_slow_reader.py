"""Who reads the events too slowly costs the server nothing, is told what was missed, and goes on."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import msgspec
import pytest

from vendetta.api.listeners import listen_on_socket
from vendetta.api.process import Server
from vendetta.api.services import Services
from vendetta.models import Event
from vendetta.store import Store

PATIENCE_SECONDS = 60
EVENTS = 1_500


@pytest.fixture
async def path(services: Services) -> AsyncIterator[Path]:
    """Of the socket on which the services are served."""
    with TemporaryDirectory(prefix="vdt-", dir="/var/tmp") as folder, listen_on_socket(Path(folder) / "s") as sock:
        serving = asyncio.create_task(Server(services).serve([sock]))
        yield Path(folder) / "s"
        services.stopping.set()
        await serving


async def prune(folder: Path, *, keep: int) -> None:
    """As it happens in time: the oldest events are gone."""
    async with Store.open(str(folder / "state.db")) as store:
        await store.events.prune(keep=keep)


async def test_a_slow_reader_is_told_what_it_missed(services: Services, path: Path, tmp_path: Path) -> None:
    taken = count_taken(services)
    reader, writer = await asyncio.open_unix_connection(path, limit=2**12)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: server\r\nAccept: text/event-stream\r\n\r\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.readuntil(b"retry: 1000\n\n")
        for number in range(EVENTS):
            await services.events.emit("a.b", "x", text="x" * 2_000, number=number)
    # what the kernel and the server hold for it is a fraction of what happened, and doesn't grow with it
    assert len(taken) < EVENTS / 3
    await prune(tmp_path, keep=5)

    seen: list[Event] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not seen or seen[-1].sequence < EVENTS:
            line = await reader.readline()
            if line.startswith(b"data: "):
                seen.append(msgspec.json.decode(line[6:], type=Event))
    writer.close()
    [missed] = [event for event in seen if event.kind == "events.missed"]
    before = [event.sequence for event in seen if event.sequence < missed.sequence]
    assert before == list(range(1, missed.data["from"]))
    assert [event.sequence for event in seen[len(before) :]] == list(range(EVENTS - 5, EVENTS + 1))


async def test_a_page_of_what_is_not_kept_any_more_is_gone(
    services: Services, local: httpx.AsyncClient, tmp_path: Path
) -> None:
    for _ in range(6):
        await services.events.emit("a.b", "x")
    await prune(tmp_path, keep=2)
    answer = await local.get("/api/v1/events?since=1")
    assert (answer.status_code, answer.json()["code"], answer.json()["details"]) == (
        410,
        "events_missed",
        {"forgotten": 4},
    )
    assert "--since 4" in answer.json()["hint"]
    assert len((await local.get("/api/v1/events")).json()["items"]) == 2


def count_taken(services: Services) -> list[int]:
    """Of the events that are taken from the store for watchers, from now on."""
    taken: list[int] = []
    watch = services.events.watch

    async def counted(source: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in source:
            taken.append(event.sequence)
            yield event

    services.events.watch = lambda since=None: counted(watch(since))  # type: ignore[method-assign]
    return taken
