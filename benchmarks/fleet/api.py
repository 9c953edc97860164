"""The server as a program sees it that wants to know how quick it is: its HTTP API, and its stream of events."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from vendetta.models import Event

BASE = "http://vendetta/api/v1"
AT_ONCE = 64


class Api:
    """`seconds` is the time until the whole answer was there, not until it was understood."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str, **query: str | int) -> tuple[bytes, float]:
        started = time.perf_counter()
        async with self._session.get(f"{BASE}/{path}", params=query) as response:
            body = await response.read()
            response.raise_for_status()
        return body, time.perf_counter() - started

    async def post(self, path: str, **query: str | int) -> dict[str, Any]:
        async with self._session.post(f"{BASE}/{path}", params=query, json={}) as response:
            body = await response.read()
            assert response.status < 300, body
        return msgspec.json.decode(body, type=dict[str, Any])

    async def pages(self, path: str, limit: int) -> tuple[list[dict[str, Any]], list[float]]:
        """Every item, and the seconds of each page."""
        items: list[dict[str, Any]] = []
        seconds: list[float] = []
        cursor = ""
        while True:
            body, took = await self.get(path, limit=limit, **({"cursor": cursor} if cursor else {}))
            page = msgspec.json.decode(body)
            items += page["items"]
            seconds.append(took)
            if not (cursor := page["next_cursor"] or ""):
                return items, seconds

    async def events(self) -> AsyncIterator[Event]:
        """From now on, as they come."""
        headers = {"Accept": "text/event-stream"}
        async with self._session.get(f"{BASE}/events", headers=headers) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield msgspec.json.decode(line[6:], type=Event)


class Watching:
    """When each kind of event was first told of each subject, and how often any was."""

    def __init__(self) -> None:
        self.count = 0
        self._told: dict[tuple[str, str], float] = {}
        self._kinds: dict[str, int] = defaultdict(int)
        self._news = asyncio.Condition()

    def number(self, kind: str) -> int:
        return self._kinds[kind]

    async def told(self, kind: str, subject: str, timeout_seconds: float) -> float | None:
        """When, by `time.monotonic`; None where it wasn't in time."""
        await self.wait(lambda: (kind, subject) in self._told, timeout_seconds)
        return self._told.get((kind, subject))

    async def wait(self, until: Callable[[], bool], timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds), self._news:
                await self._news.wait_for(until)
        except TimeoutError:
            return False
        return True

    def forget(self) -> None:
        self._told.clear()
        self._kinds.clear()

    async def follow(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            self.count += 1
            self._kinds[event.kind] += 1
            self._told.setdefault((event.kind, event.subject), time.monotonic())
            async with self._news:
                self._news.notify_all()


@asynccontextmanager
async def open_api(socket: Path) -> AsyncIterator[Api]:
    connector = aiohttp.UnixConnector(str(socket), limit=AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Api(session)


@asynccontextmanager
async def watched_api(socket: Path) -> AsyncIterator[tuple[Api, Watching]]:
    async with open_api(socket) as api:
        watching = Watching()
        following = asyncio.create_task(watching.follow(api.events()))
        try:
            yield api, watching
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
