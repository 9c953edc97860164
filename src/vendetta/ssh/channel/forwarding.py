"""Reach a socket or a port of the node: forwarded by sshd, or carried by a relay if sshd doesn't.

That a socket can't be forwarded is learnt at the first try, and remembered for the connection.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import asyncssh
from asyncssh.stream import SSHTCPStreamSession, SSHUNIXStreamSession

from vendetta.errors import ConnectFailed, EngineForbidden, EngineUnavailable, ForwardingRefused, VendettaError
from vendetta.ssh.failures import lost, using
from vendetta.transport import CommandResult

from .relay import Relay
from .socket_diagnosis import DIAGNOSE, explain
from .streams import ChannelStream

if TYPE_CHECKING:
    from asyncssh.channel import SSHChannel

WINDOW_BYTES = 16 * 2**20
PACKET_BYTES = 256 * 2**10
"""Windows of this size carry several hundred MB/s, the defaults about a hundred."""
OPEN_SECONDS = 30.0
NOBODY_LISTENS = "Is the engine running there? On the node: systemctl status docker."

Diagnose = Callable[[Sequence[str]], Awaitable[CommandResult]]


class Forwarding:
    """Open sockets and ports of one node.

    `diagnose` runs a command on the node; `count_sessions` learns how many sshd grants, before they run short.
    """

    def __init__(
        self,
        node: str,
        connection: asyncssh.SSHClientConnection,
        relay: Relay,
        diagnose: Diagnose,
        count_sessions: Callable[[], Awaitable[None]],
    ) -> None:
        self._node = node
        self._connection = connection
        self._relay = relay
        self._diagnose = diagnose
        self._count_sessions = count_sessions
        self._counting = asyncio.Lock()
        self._counted = False
        self._carried: dict[str, bool] = {}
        """Sockets that a relay carries, and whether by sudo."""
        self._closed: set[str] = set()
        """Sockets that could not be opened when they were tried last."""
        self._ports_carried = False

    async def open_unix(self, path: str) -> ChannelStream:
        """Open a stream to a unix socket of the node. Raises what `open_unix_session` raises."""
        session: SSHUNIXStreamSession[bytes] = SSHUNIXStreamSession()
        channel = await self.open_unix_session(path, lambda: session)
        reader, writer = asyncssh.SSHReader(session, channel), asyncssh.SSHWriter(session, channel)
        return ChannelStream(self._node, f"use {path}", reader, writer)

    @property
    def carries(self) -> bool:
        """Whether a relay carries anything: then sockets or ports take sessions, which forwarded ones don't."""
        return self._counted

    def is_carried(self, path: str) -> bool:
        """Return whether a connection to that socket takes a session."""
        return path in self._carried

    async def open_unix_session(
        self, path: str, factory: "Callable[[], asyncssh.SSHUNIXSession[bytes]]"
    ) -> "SSHChannel[bytes]":
        """Open a channel to a unix socket whose bytes go to a session of the caller's.

        Raises `EngineUnavailable`, `EngineForbidden`, `ForwardingRefused`, `LinkError`.
        """
        if path not in self._carried:
            try:
                return await self._forward_unix(path, factory)
            except ForwardingRefused:
                self._carried[path] = False
            except EngineForbidden:
                if not self._relay.sudo:
                    raise
                self._carried[path] = True
        await self._prepare()
        try:
            return await self._relay.open(["unix", path], factory(), sudo=self._carried[path])
        except ConnectFailed as exc:
            if self._carried[path]:  # what the login user may not do says nothing then
                raise EngineUnavailable(exc.message, hint=NOBODY_LISTENS, node=self._node, path=path) from exc
            raise await self._why_closed(path) from exc

    async def open_tcp(self, host: str, port: int) -> ChannelStream:
        """Open a stream to a port that the node reaches. Raises `ConnectFailed`, `LinkError`."""
        session: SSHTCPStreamSession[bytes] = SSHTCPStreamSession()
        channel = await self.open_tcp_session(host, port, lambda: session)
        reader, writer = asyncssh.SSHReader(session, channel), asyncssh.SSHWriter(session, channel)
        return ChannelStream(self._node, f"connect to port {port} of {host}", reader, writer)

    async def open_tcp_session(
        self, host: str, port: int, factory: "Callable[[], asyncssh.SSHTCPSession[bytes]]"
    ) -> "SSHChannel[bytes]":
        """Open a channel to a port whose bytes go to a session of the caller's. Raises `ConnectFailed`, `LinkError`."""
        try:
            if not self._ports_carried:
                try:
                    return await self._forward_tcp(host, port, factory)
                except ForwardingRefused:
                    self._ports_carried = True
            await self._prepare()
            # the relay calls nothing that the two kinds of session don't have in common
            session = cast("asyncssh.SSHUNIXSession[bytes]", factory())
            return await self._relay.open(["tcp", host, str(port)], session)
        except ConnectFailed as exc:
            exc.hint = f"Does something listen on port {port} there?"
            raise

    async def _prepare(self) -> None:
        async with self._counting:
            if not self._counted:
                await self._count_sessions()
                self._counted = True

    async def _forward_tcp(
        self, host: str, port: int, factory: "Callable[[], asyncssh.SSHTCPSession[bytes]]"
    ) -> "SSHChannel[bytes]":
        with using(self._node, f"connect to port {port} of {host}"):
            async with asyncio.timeout(OPEN_SECONDS):
                channel, _ = await self._connection.create_connection(
                    factory, host, port, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
                )
        return channel

    async def _forward_unix(
        self, path: str, factory: "Callable[[], asyncssh.SSHUNIXSession[bytes]]"
    ) -> "SSHChannel[bytes]":
        # one that could not be opened last is asked about while it is tried
        asking = asyncio.create_task(self._why_closed(path)) if path in self._closed else None
        try:
            with using(self._node, f"use {path}"):
                async with asyncio.timeout(OPEN_SECONDS):
                    channel, _ = await self._connection.create_unix_connection(
                        factory, path, encoding=None, window=WINDOW_BYTES, max_pktsize=PACKET_BYTES
                    )
        except (ConnectFailed, ForwardingRefused) as exc:
            self._closed.add(path)
            raise await (asking or self._why_closed(path)) from exc
        finally:
            if asking:
                asking.cancel()
        self._closed.discard(path)
        return channel

    async def _why_closed(self, path: str) -> VendettaError:
        """Ask the node what is wrong with the socket, and build the error: sshd says "failed" in every case."""
        answer = ""
        with suppress(VendettaError):
            result = await self._diagnose(["sh", "-c", DIAGNOSE, "sh", path])
            answer = result.stdout.decode(errors="replace")
        if self._connection.is_closed():
            return lost(self._node, f"use {path}")
        user = str(self._connection.get_extra_info("username"))
        return explain(answer, node=self._node, user=user, path=path)
