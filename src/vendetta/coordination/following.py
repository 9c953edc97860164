"""The engines' own event streams of one node, followed at once: what they tell of is looked at, and written.

A stream begins with a reading of everything: so nothing is missed that happened before it, or while there was none.
"""

import asyncio
from collections.abc import Collection
from contextlib import aclosing, suppress
from functools import partial
from typing import Protocol, TypeGuard

from vendetta.errors import VendettaError
from vendetta.models import Node
from vendetta.providers.base import Provider
from vendetta.providers.powers import Watch
from vendetta.ssh.connection import Connection

from .engines import Engines
from .observation import Observation

HELD_SECONDS = 2.0
"""After which one that an operation held is looked at again: that of another server doesn't know of the event."""


class Watching(Provider, Watch, Protocol):
    """A provider that has the power to watch."""


def is_followed(provider: Provider, connection: Connection) -> TypeGuard[Watching]:
    """Whether events of it can be had there, and may be."""
    # where sessions are short they belong to those who ask; everything is read again at times anyway
    return isinstance(provider, Watch) and not connection.spares_sessions


class Following:
    """`kinds` are the technologies of the node's workspaces; `woken` is set when one comes, or to end it all."""

    def __init__(
        self, engines: Engines, observation: Observation, kinds: Collection[str], woken: asyncio.Event
    ) -> None:
        self._engines = engines
        self._observation = observation
        self._kinds = kinds
        self._woken = woken
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def follow(self, connection: Connection, node: Node, seconds: float) -> bool:
        """Until the link ends, or it is time, or everything is to be read again; or a stream ends, which is False."""
        ending = asyncio.create_task(connection.wait_closed())
        waking = asyncio.create_task(self._woken.wait())
        try:
            async with asyncio.timeout(seconds):
                await self._start(connection, node)
                while True:
                    done, _ = await asyncio.wait(
                        [ending, waking, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done - {ending, waking}:
                        task.result()
                    if done != {waking}:
                        return ending in done
                    self._woken.clear()
                    waking = asyncio.create_task(self._woken.wait())
                    if not await self._start(connection, node):
                        return True
        except TimeoutError:
            return True
        finally:
            tasks = [ending, waking, *self._tasks.values()]
            self._tasks.clear()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, connection: Connection, node: Node) -> bool:
        """Those that aren't followed yet, and are worth it: whether there were any."""
        before = len(self._tasks)
        for kind, status in node.providers.items():
            if status.state != "healthy" or kind in self._tasks:
                continue
            provider = self._engines.bind(connection, kind)
            if not is_followed(provider, connection):
                continue
            with suppress(VendettaError):
                if kind in self._kinds or not await provider.watch_takes_session():
                    self._tasks[kind] = asyncio.create_task(self._follow(node.name, provider))
        return len(self._tasks) > before

    async def _follow(self, node: str, provider: Watching) -> None:
        held: dict[str, asyncio.Task[None]] = {}
        try:
            # the stream's end says that the engine or the link went: the next full reading tells which
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
            tasks = list(held.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_later(self, name: str, node: str, provider: Provider) -> None:
        with suppress(VendettaError):
            while True:
                await asyncio.sleep(HELD_SECONDS)
                if not self._observation.is_overlooked(name) or await self._observation.look(name, node, provider):
                    return


def drop(held: dict[str, "asyncio.Task[None]"], name: str, _: object) -> None:
    held.pop(name, None)
