"""The way to one node's engine: HTTP on the transport's connector, at the API version that both sides know.

Every exchange runs under `doing`, which turns what goes wrong into our errors.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from vendetta.errors import EngineUnavailable, UnexpectedReply, VendettaError
from vendetta.transport import Transport

from .errors import Refused, from_reply
from .hijack import Hijacked
from .sockets import DOCKER, find_socket

BASE = "http://docker"
NEWEST_API = (1, 47)
"""The newest version of the API that this was written for: an engine that speaks a newer one also speaks this."""

BRIEF = ClientTimeout(total=15.0)
PROMPT = ClientTimeout(total=120.0)
ENDLESS = ClientTimeout(total=None)


class Component(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="Name", default="")


class Version(msgspec.Struct, frozen=True):
    """What `GET /version` says."""

    engine: str = msgspec.field(name="Version")
    api: str = msgspec.field(name="ApiVersion")
    components: list[Component] = msgspec.field(name="Components", default_factory=list)

    @property
    def is_podman(self) -> bool:
        return any("podman" in component.name.lower() for component in self.components)


class Engine:
    """`socket_path` None: Docker's own, or Podman's where there is no Docker."""

    def __init__(self, transport: Transport, socket_path: str | None) -> None:
        self.node = transport.node
        self.transport = transport
        self.is_podman = False
        """Known from the first exchange on."""
        self.socket_path = socket_path or DOCKER
        self._looks_further = socket_path is None
        self._absent: EngineUnavailable | None = None
        """Why there was none when it was asked last."""
        self._opened = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._session: ClientSession | None = None
        self._base: str | None = None
        """Where paths begin, once the engine has said what version of the API it knows."""

    @property
    def session(self) -> ClientSession:
        if self._session is None:
            connector = self.transport.http(self.socket_path)
            self._session = ClientSession(connector=connector, connector_owner=False, timeout=PROMPT)
            self._opened.push_async_callback(self._session.close)
        return self._session

    async def base(self) -> str:
        """Return what paths of the API begin with, its version included. The engine is asked the first time."""
        async with self._opening:
            if self._base is None:
                said = await self.version()
                self.is_podman = said.is_podman
                self._base = f"{BASE}/{negotiate(said.api)}"
            return self._base

    async def version(self) -> Version:
        """Ask for it, without an API version in the path. Raises `UnexpectedReply` for what isn't an engine."""
        absent = self._absent
        if absent is None:
            try:
                return await self._ask_version()
            except EngineUnavailable as exc:
                if not self._looks_further or exc.details.get("found") != "absent":
                    raise
                self._absent = absent = exc
        # one question as long as there is none: to try the socket first would take two more to learn why it failed
        path = await find_socket(self.transport)
        if path is None:
            raise EngineUnavailable(absent.message, hint=absent.hint, **absent.details)
        self._absent = None
        if path != self.socket_path:
            await self.close()
            self.socket_path, self._looks_further = path, False
        return await self._ask_version()

    async def _ask_version(self) -> Version:
        async with self.session.get(f"{BASE}/version", timeout=BRIEF) as response:
            body = await response.read()
        if response.status != 200:
            raise Refused(response.status, parse_message(body))
        try:
            return msgspec.json.decode(body, type=Version)
        except msgspec.DecodeError as exc:
            raise UnexpectedReply(f"{self.socket_path} on node {self.node} is not a Docker Engine") from exc

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: AsyncIterable[bytes] | None = None,
        timeout: ClientTimeout = ENDLESS,
    ) -> AsyncIterator[ClientResponse]:
        """Send a request, and yield the response with its body unread. Left half-read, its connection is closed."""
        base = await self.base()
        async with self.session.request(
            method,
            f"{base}/{path}",
            params=params,
            headers={"Content-Type": "application/x-tar", **(headers or {})} if data is not None else headers,
            data=data,
            timeout=timeout,
        ) as response:
            if response.status >= 400:
                raise Refused(response.status, parse_message(await response.read()))
            yield response

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        timeout: ClientTimeout = PROMPT,
    ) -> Any:
        """Return the JSON of the answer; None where it has none. Raises `Refused`."""
        url = f"{await self.base()}/{path}"
        async with self.session.request(method, url, params=params, json=json, timeout=timeout) as response:
            body = await response.read()
        if response.status >= 400:
            raise Refused(response.status, parse_message(body))
        return msgspec.json.decode(body) if body and response.content_type == "application/json" else None

    async def hijack(self, path: str, body: Mapping[str, Any]) -> Hijacked:
        """Return the two-way stream that the engine makes of this request's connection. The caller closes it."""
        response = await self.session.post(
            f"{await self.base()}/{path}",
            json=body,
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            timeout=ENDLESS,
        )
        if response.status >= 400:
            async with response:
                raise Refused(response.status, parse_message(await response.read()))
        return Hijacked(response)

    @asynccontextmanager
    async def doing(self, what: str) -> AsyncIterator[None]:
        """Turn what goes wrong in an exchange into our errors. `what` is verb and object ("start web")."""
        try:
            await self.base()
            yield
        except Refused as exc:
            raise from_reply(exc.status, exc.words, what, self.node) from exc
        except (ClientError, OSError, asyncio.IncompleteReadError) as exc:
            raise await self._diagnose(exc, what) from exc

    async def close(self) -> None:
        await self._opened.aclose()
        self._session = self._base = None

    async def _diagnose(self, failure: BaseException, what: str) -> VendettaError:
        """Whose fault it was that an exchange broke: the link's and the engine's are told apart by another try."""
        if isinstance(failure, TimeoutError):
            return EngineUnavailable(f"can't {what} on node {self.node}: the engine doesn't answer in time")
        try:
            stream = await self.transport.open_unix(self.socket_path)
        except VendettaError as exc:
            return exc
        await stream.close()
        return EngineUnavailable(
            f"can't {what} on node {self.node}: the engine broke the connection off",
            hint="Was it restarted? Try again.",
        )


def negotiate(theirs: str) -> str:
    """Return the newest API version that both know, as it stands in a path ("v1.47")."""
    major, _, minor = theirs.partition(".")
    chosen = min((int(major), int(minor)), NEWEST_API)
    return f"v{chosen[0]}.{chosen[1]}"


def parse_message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any])["message"])
    except (msgspec.DecodeError, KeyError):
        return body.decode(errors="replace")
