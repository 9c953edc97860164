"""The way to one node's Incus or LXD: requests, operations awaited to their end, websockets.

Every exchange runs under `doing`, which turns what goes wrong into our errors; within it the engine's own refusals are
`Refused`, for whoever knows better what one means.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    StreamReader,
    WSMessage,
    WSMsgType,
)

from vendetta.errors import EngineUnavailable, UnexpectedReply, VendettaError
from vendetta.transport import Stream, Transport

from .dialects import Dialect
from .errors import Refused, from_reply

BASE = "http://daemon"
BRIEF = ClientTimeout(total=15.0)
PROMPT = ClientTimeout(total=120.0)
SENDING = ClientTimeout(total=None, sock_read=600.0)
"""A file may take as long as it likes, but not be silent for ever."""

WAIT_SECONDS = 60
"""How long one question for an operation's end waits on the engine's side, before it is asked again."""

_ENDED = 200
"""Status codes from here on are of an end: success, failure (400), cancelled (401)."""

_TIME_IS_UP = "context deadline exceeded"
"""What Incus says of an operation that goes on after `WAIT_SECONDS`; LXD shows it as it is."""

Reply = Mapping[str, Any]


class Engine:
    def __init__(self, transport: Transport, dialect: Dialect, socket_path: str) -> None:
        self.node = transport.node
        self.dialect = dialect
        self.socket_path = socket_path
        self._transport = transport
        self._opened: ClientSession | None = None

    @property
    def _session(self) -> ClientSession:
        if self._opened is None:
            connector = self._transport.http(self.socket_path)
            self._opened = ClientSession(connector=connector, connector_owner=False, timeout=PROMPT)
        return self._opened

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        data: AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: ClientTimeout = PROMPT,
    ) -> Any:
        """Return the answer's `metadata`. Raises `Refused`."""
        async with self._session.request(
            method, f"{BASE}{_below(path)}", params=params, json=json, data=data, headers=headers, timeout=timeout
        ) as response:
            body = await response.read()
        reply = parse_reply(body, response.status)
        if reply.get("type") == "error":
            raise Refused(reply.get("error_code") or response.status, str(reply.get("error")))
        return reply.get("metadata")

    async def find(self, path: str, /, **params: str) -> Any:
        """Ask by GET; None for what isn't there, in a project that is. Raises `Refused`."""
        try:
            return await self.ask("GET", path, params=params)
        except Refused as exc:
            if exc.status == 404 and "project not found" not in exc.words.lower():
                return None
            raise

    async def read(self, path: str, /, **params: str) -> bytes:
        """Return a file or a log, as bytes. Raises `Refused`."""
        async with self._session.get(f"{BASE}{_below(path)}", params=params) as response:
            body = await response.read()
        if response.status >= 400:
            raise Refused(response.status, str(parse_reply(body, response.status).get("error")))
        return body

    @asynccontextmanager
    async def download(self, path: str, /, **params: str) -> AsyncIterator[StreamReader]:
        """Yield a file in pieces. Raises `Refused`."""
        async with self._session.get(f"{BASE}{_below(path)}", params=params, timeout=SENDING) as response:
            if response.status >= 400:
                raise Refused(response.status, str(parse_reply(await response.read(), response.status).get("error")))
            yield response.content

    async def change(self, method: str, path: str, **request: Any) -> Reply:
        """Ask for what the engine does in an operation, and return what came of it. Raises `Refused`."""
        return await self.wait(await self.ask(method, path, **request))

    async def wait(self, operation: Reply) -> Reply:
        """Return the operation at its end, in one long request. Raises `Refused` where it failed."""
        while operation["status_code"] < _ENDED:
            try:
                operation = await self.ask(
                    "GET",
                    f"operations/{operation['id']}/wait",
                    params={"timeout": str(WAIT_SECONDS)},
                    timeout=ClientTimeout(total=WAIT_SECONDS + 30.0),
                )
            except Refused as exc:
                if _TIME_IS_UP not in exc.words:
                    raise
        if operation["status_code"] > _ENDED:
            raise Refused(operation["status_code"], operation["err"])
        return operation

    async def wait_for_others(self, project: str, engine_name: str) -> None:
        """Wait for the end of the operations that others began on an instance, however they end."""
        running = await self.ask("GET", "operations", params={"recursion": "1", "project": project})
        for operation in (one for group in (running or {}).values() for one in group):
            touched = (operation.get("resources") or {}).get("instances") or ()
            if operation["class"] == "task" and any(_names(path, engine_name) for path in touched):
                try:
                    await self.wait(operation)
                except Refused:
                    continue  # its failure is of whom it began; gone already is as good

    async def websocket(self, path: str, /, **params: str) -> ClientWebSocketResponse:
        """Open a websocket, to be closed by the caller, and read by `receive`."""
        # aiohttp's own answers to a ping or a goodbye fail on a connection that is closing, with messages still unread
        return await self._session.ws_connect(
            f"{BASE}{_below(path)}", params=params, max_msg_size=0, autoclose=False, autoping=False
        )

    async def open_stream(self) -> Stream:
        return await self._transport.open_unix(self.socket_path)

    @asynccontextmanager
    async def doing(self, what: str) -> AsyncIterator[None]:
        """Turn what goes wrong in an exchange into our errors. `what` is verb and object ("start web")."""
        try:
            yield
        except Refused as exc:
            raise from_reply(exc, what, self.node, self.dialect.title) from exc
        except (ClientError, OSError) as exc:
            raise await self._diagnose(exc, what) from exc

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    async def _diagnose(self, failure: BaseException, what: str) -> VendettaError:
        """Whose fault it was that an exchange broke: the link's and the engine's are told apart by another try."""
        if isinstance(failure, TimeoutError):
            return EngineUnavailable(f"can't {what} on node {self.node}: {self.dialect.title} doesn't answer in time")
        try:
            stream = await self.open_stream()
        except VendettaError as exc:
            return exc
        await stream.close()
        if not isinstance(failure, ClientConnectionError | ConnectionError):
            return UnexpectedReply(f"can't {what}: what listens at {self.socket_path} on node {self.node} is no daemon")
        return EngineUnavailable(
            f"can't {what} on node {self.node}: {self.dialect.title} broke the connection off",
            hint="Was it restarted? Try again.",
        )


async def receive(socket: ClientWebSocketResponse) -> WSMessage:
    """Return the next message that isn't a ping, which is answered where that still can be."""
    while (message := await socket.receive()).type is WSMsgType.PING:
        with suppress(ClientConnectionError):
            await socket.pong(message.data)
    return message


def parse_reply(body: bytes, status: int) -> Reply:
    """Read the envelope in which the daemons answer. Raises `Refused` for what isn't one."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise Refused(status, body[:200].decode(errors="replace")) from exc


def _below(path: str) -> str:
    return f"/1.0/{path}" if path else "/1.0"


def _names(path: str, engine_name: str) -> bool:
    """`/1.0/instances/NAME`, perhaps with more below it or a project behind it."""
    parts = path.partition("?")[0].split("/")
    return len(parts) > 3 and parts[3] == engine_name
