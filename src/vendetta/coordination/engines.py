"""The way from a node's name to a provider bound to its leased connection, and the rule of what is tried again."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from types import TracebackType
from typing import Self, TypeVar
from weakref import WeakKeyDictionary

import structlog

from vendetta.coordination.retry_rules import pause_after
from vendetta.errors import EngineUnavailable, InvalidInput, LinkError, ProviderError, Unsupported
from vendetta.models import Node, ProviderStatus, Way
from vendetta.providers.base import Provider
from vendetta.providers.registry import Registry
from vendetta.ssh.breaker import build_pause
from vendetta.ssh.channel import Connection
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.pool import Pool
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait

T = TypeVar("T")
log = structlog.get_logger(__name__)


def build_endpoint(node: Node | Way) -> Endpoint:
    """Build the address that the pool connects to."""
    return Endpoint(
        node=node.name,
        host=node.address,
        port=node.port,
        user=node.user,
        identity=node.identity,
        jump=tuple(node.jump),
        sudo=node.sudo,
    )


class Engines:
    """Lease connections and bind providers to them, one provider for each kind and connection."""

    def __init__(self, store: Store, pool: Pool, registry: Registry) -> None:
        self._store = store
        self._pool = pool
        self.registry = registry
        self._bound: WeakKeyDictionary[Connection, dict[str, Provider]] = WeakKeyDictionary()
        self._binding: WeakKeyDictionary[Connection, dict[str, asyncio.Lock]] = WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await cancel_and_wait(*self._closing)

    @asynccontextmanager
    async def connection(self, node_name: str) -> AsyncIterator[Connection]:
        """Lease the node's connection for the block. Raises `NodeNotFound`, `LinkError`.

        A `LinkError` of the block gets `link_lost` in its details: whether it is the link that was lost.
        """
        way = await self._store.nodes.way(node_name)
        async with self._pool.lease(build_endpoint(way)) as connection:
            try:
                yield connection
            except LinkError as exc:
                exc.details.setdefault("link_lost", connection.closed)
                raise

    @asynccontextmanager
    async def provider(self, node_name: str, kind: str) -> AsyncIterator[Provider]:
        """Give the provider of that kind on the node's connection, leased for the block.

        Raises `UnknownProvider`, `NodeNotFound`, `LinkError`, and `EngineUnavailable` where the node has none.
        """
        self.registry.check(kind)
        async with self.connection(node_name) as connection:
            yield await self.bind(connection, kind)

    async def bind(self, connection: Connection, kind: str) -> Provider:
        """Return the provider of that kind on a connection that the caller holds; the node is asked the first time.

        Raises as `Registry.bind`: a node that had none is asked again the next time.
        """
        if (provider := self.bound(connection, kind)) is not None:
            return provider
        async with self._binding.setdefault(connection, {}).setdefault(kind, asyncio.Lock()):
            if (provider := self.bound(connection, kind)) is None:
                provider = await self.registry.bind(kind, connection, self._store.server_id)
                self._keep(connection, provider)
        return provider

    def bound(self, connection: Connection, kind: str) -> Provider | None:
        """Return the provider of that kind if the connection has one by now, else None."""
        return self._bound.get(connection, {}).get(kind)

    async def probe(self, connection: Connection, kind: str) -> ProviderStatus:
        """Return what the provider says of its engine; `undetected` where the node has none. Raises `LinkError`."""
        try:
            provider = await self.bind(connection, kind)
        except EngineUnavailable as exc:
            return ProviderStatus(state="undetected", reason=exc.message)
        except ProviderError as exc:
            return ProviderStatus(state="unhealthy", reason=exc.message)
        return await provider.probe()

    async def able(self, node_name: str, power: str) -> Sequence[str]:
        """Return the technologies that run on the node and have the power, at least one.

        Raises `NodeNotFound`, `Unsupported` for none.
        """
        found = (await self._store.nodes.get(node_name)).providers
        able = [
            kind
            for kind, status in found.items()
            if status.state == "healthy" and power in self.registry.capabilities(kind, status.version)
        ]
        if not able:
            raise Unsupported(
                f"node {node_name} has no engine that runs and has {power}",
                hint=f"See what is there: vendetta node doctor {node_name}",
            )
        return able

    async def choose(self, node_name: str, kind: str | None, power: str) -> str:
        """Return the technology that is meant, also where it isn't said (None).

        Raises `InvalidInput` where it could be more than one, `NodeNotFound`, `UnknownProvider`, `Unsupported`.
        """
        if kind is not None:
            await self._store.nodes.get(node_name)
            self.registry.check(kind)
            return kind
        first, *others = await self.able(node_name, power)
        if others:
            raise InvalidInput(
                f"node {node_name} has more than one provider that could be meant: {', '.join([first, *others])}",
                hint="Say which: --provider NAME.",
            )
        return first

    async def call(
        self,
        node_name: str,
        kind: str,
        use: Callable[[Provider], Awaitable[T]],
        *,
        idempotent: bool = True,
        retries: int = 0,
        on_sent: Callable[[], None] = lambda: None,
    ) -> T:
        """Return what `use` returns for the node's provider, tried again up to `retries` times while the link fails.

        What failed before it was sent is tried again; after, only if `idempotent`. `on_sent` is called before each
        `use`. A step of an operation asks for no retries here: its own are shown, and wait for the node. A `LinkError`
        says in its details whether anything was `sent`.
        """
        for number in count(1):
            sent = False
            try:
                async with self.provider(node_name, kind) as provider:
                    sent = True
                    on_sent()
                    return await use(provider)
            except LinkError as exc:
                exc.details["sent"] = sent
                seconds = pause_after(exc, number, once=not idempotent, retries=retries, pause=build_call_pause)
                if seconds is None or number > retries:
                    raise
                await asyncio.sleep(seconds)
        raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises

    def _keep(self, connection: Connection, provider: Provider) -> None:
        """Keep the provider until its connection is closed, and close it then."""
        if connection not in self._bound:
            self._bound[connection] = {}
            task = asyncio.create_task(self._close_with(connection))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._bound[connection][provider.kind] = provider

    async def _close_with(self, connection: Connection) -> None:
        try:
            await connection.wait_closed()
        finally:
            async with AsyncExitStack() as closing:
                for provider in self._bound.pop(connection, {}).values():
                    closing.push_async_callback(provider.close)


def build_call_pause(failures: int) -> float:
    """Return the seconds until the next try of a call that somebody waits for: a tenth of those of a step."""
    return 0.1 * build_pause(failures, random.random())  # noqa: S311
