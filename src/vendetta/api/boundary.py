"""The outermost layer: every request and WebSocket is counted, logged, and answered, whatever happens inside."""

import asyncio
import time

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vendetta.errors import NotFound, ServerUnavailable, VendettaError

from .metrics import Metrics
from .problems import as_ours, describe, refuse

log = structlog.get_logger(__name__)


class Exchange:
    """One answer, as far as it has been sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.connection = HTTPConnection(scope)
        self._receive = receive
        self._send = send
        self._began = time.perf_counter()
        self.status: int | None = None
        """None until the answer has begun."""
        self.seconds = 0.0
        """How long that took."""

    async def send(self, message: Message) -> None:
        if self.status is None:
            if message["type"] == "websocket.close":
                # what the router says to a WebSocket for which there is no route
                await self.refuse(NotFound(f"{self.connection.scope['path']}: no WebSocket is served here"))
                return
            self.status = message.get("status", 101)
            self.seconds = time.perf_counter() - self._began
        await self._send(message)

    async def refuse(self, error: VendettaError) -> None:
        await refuse(self.connection, error)(self.connection.scope, self._receive, self.send)


class Boundary:
    def __init__(self, app: ASGIApp, *, metrics: Metrics, stopping: asyncio.Event) -> None:
        self._app = app
        self._metrics = metrics
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        self._metrics.requests_running += 1
        try:
            await self._app(scope, receive, exchange.send)
        except asyncio.CancelledError:
            # by whoever runs us, once the time to finish is over
            if not self._stopping.is_set() or exchange.status is not None:
                raise
            await exchange.refuse(
                ServerUnavailable("the server stops before this is done", hint="Look at what came of it later.")
            )
        except Exception as exc:
            await self._mend(exchange, exc)
        finally:
            self._metrics.requests_running -= 1
            self._tell(exchange)

    async def _mend(self, exchange: Exchange, error: Exception) -> None:
        if exchange.status is None:
            await exchange.refuse(as_ours(error, exchange.connection))
            return
        # too late for a status: the answer stays without its end, which clients see
        cause = error.__cause__ if isinstance(error, RuntimeError) else None
        broken = as_ours(cause if isinstance(cause, VendettaError) else error, exchange.connection)
        log.warning("answer broken off", **describe(exchange.connection), error=broken.message)

    def _tell(self, exchange: Exchange) -> None:
        scope = exchange.connection.scope
        route = getattr(scope.get("route"), "path", "unknown")
        where = describe(exchange.connection)
        self._metrics.count(where["method"], route, exchange.status or 499, exchange.seconds)
        caller = scope.get("state", {}).get("caller")
        log.debug(
            "request",
            **where,
            status=exchange.status,
            seconds=round(exchange.seconds, 4),
            actor=caller.actor if caller else None,
        )
