"""Follow the event streams of one node's engines at once: each workspace that an event names is looked at, and written.

A stream begins with a reading of everything: so nothing is missed that happened before it, or while there was none. It
goes on while a node is read again.
"""

import asyncio
from collections.abc import Collection
from contextlib import aclosing, suppress
from functools import partial
from types import TracebackType
from typing import Protocol, Self, TypeGuard

from vendetta.coordination.engines import Engines
from vendetta.errors import VendettaError
from vendetta.models import Node
from vendetta.providers.base import Provider
from vendetta.providers.powers import Watch
from vendetta.ssh.channel import Connection
from vendetta.tasks import cancel_and_wait

from .observation import Observation

HELD_SECONDS = 2.0
"""When a workspace that an operation held is looked at again: an operation of another replica misses the event."""


class Watching(Provider, Watch, Protocol):
    """A provider that can watch its engine's events."""


def is_followed(provider: Provider | None, connection: Connection) -> TypeGuard[Watching]:
    """Return whether the provider's events can be followed, and the node has sessions to spare for it."""
    # where sessions are short they belong to those who ask; everything is read again at times anyway
    return isinstance(provider, Watch) and not connection.spares_sessions


class Following:
    """Follow the engines of one node.

    `woken` is set when a technology comes that is to be followed, or everything is to be read again.
    """

    def __init__(self, engines: Engines, observation: Observation, woken: asyncio.Event) -> None:
        self._engines = engines
        self._observation = observation
        self._woken = woken
        self._connection: Connection | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(*self._tasks)

    def goes_on(self, connection: Connection) -> frozenset[str]:
        """Return the technologies whose events are followed over this connection."""
        tasks = self._tasks if connection is self._connection else {}
        return frozenset(kind for kind, task in tasks.items() if not task.done())

    async def follow(self, connection: Connection, node: Node, kinds: Collection[str], seconds: float) -> bool:
        """Follow until the link ends, `seconds` pass or `woken` is set. Return False if a stream ended before.

        `kinds` are the technologies of the node's workspaces. When `woken` begins a new stream, it goes on.
        """
        if connection is not self._connection:
            await self._stop(*self._tasks)
            self._connection = connection
        ending = asyncio.create_task(connection.wait_closed())
        waking = asyncio.create_task(self._woken.wait())
        try:
            async with asyncio.timeout(seconds):
                await self._start(connection, node, kinds)
                while True:
                    await asyncio.wait([ending, waking, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
                    if ended := [kind for kind, task in self._tasks.items() if task.done()]:
                        for task in [self._tasks.pop(kind) for kind in ended]:
                            task.result()
                    if ended or ending.done():
                        return ending.done()
                    self._woken.clear()
                    waking = asyncio.create_task(self._woken.wait())
                    if not await self._start(connection, node, kinds):
                        return True
        except TimeoutError:
            return True
        finally:
            await cancel_and_wait(ending, waking)

    async def _start(self, connection: Connection, node: Node, kinds: Collection[str]) -> bool:
        """Begin the streams that are worth it and aren't followed yet, end all others. Return whether any began."""
        begun = False
        for kind, status in node.providers.items():
            # bound by the reading that found it healthy: nothing is asked here
            provider = self._engines.bound(connection, kind) if status.state == "healthy" else None
            if is_followed(provider, connection) and await is_worth_it(provider, kinds):
                if kind not in self._tasks:
                    self._tasks[kind] = asyncio.create_task(self._follow(node.name, provider))
                    begun = True
            else:
                await self._stop(kind)
        return begun

    async def _stop(self, *kinds: str) -> None:
        await cancel_and_wait(*(self._tasks.pop(kind) for kind in kinds if kind in self._tasks))

    async def _follow(self, node: str, provider: Watching) -> None:
        held: dict[str, asyncio.Task[None]] = {}
        try:
            # the stream ends with the engine or the link: the next full reading finds which
            with suppress(VendettaError):
                async with aclosing(provider.watch()) as events:  # type: ignore[type-var]
                    async for event in events:
                        name = event.name
                        if event.begins:
                            await self._observation.survey(node, provider.kind, provider)
                        elif not await self._observation.look(name, node, provider) and name not in held:
                            held[name] = asyncio.create_task(self._look_later(name, node, provider))
                            held[name].add_done_callback(partial(drop, held, name))
        finally:
            await cancel_and_wait(*held.values())

    async def _look_later(self, name: str, node: str, provider: Provider) -> None:
        with suppress(VendettaError):
            while True:
                await asyncio.sleep(HELD_SECONDS)
                if not self._observation.is_overlooked(name) or await self._observation.look(name, node, provider):
                    return


async def is_worth_it(provider: Watching, kinds: Collection[str]) -> bool:
    """Return whether to follow: a stream that holds a session is worth it only if there are workspaces."""
    try:
        return provider.kind in kinds or not await provider.watch_takes_session()
    except VendettaError:
        return False


def drop(held: dict[str, "asyncio.Task[None]"], name: str, _: object) -> None:
    """Remove `name` from `held`; called when its task is done."""
    held.pop(name, None)
