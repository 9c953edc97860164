"""Hold one connection to each host that nodes are behind, shared by all nodes that are reached through it.

A connection is leased for as long as a node's own stands in it; once nobody has used it for a while it is closed.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import asyncssh

from vendetta.errors import VendettaError
from vendetta.ssh.endpoint import Login
from vendetta.ssh.route import Hop

LINGER_SECONDS = 60.0

Release = Callable[[], None]
Way = tuple[tuple[str, str], ...]
"""User and `host:port` of each login, from the first on."""


class Entered(Protocol):
    """What knows when a connection has ended."""

    def on_end(self, ending: Callable[[], None]) -> None: ...


LogIn = Callable[
    [Hop, Login, asyncssh.SSHClientConnection | None], Awaitable[tuple[Entered, asyncssh.SSHClientConnection]]
]


@dataclass(slots=True, eq=False)
class Bastion:
    """A connection to a host on the way. `node` and `login` are of the caller that it was opened for."""

    node: str
    login: Login
    opening: "asyncio.Task[asyncssh.SSHClientConnection]"
    users: int = 0
    closing: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether its login failed, or its connection has ended."""
        if not self.opening.done():
            return False
        return self.opening.cancelled() or self.opening.exception() is not None or self.opening.result().is_closed()


class Bastions:
    """Hold the connections to hosts on the way, and lease them."""

    def __init__(self, log_in: LogIn, *, linger_seconds: float = LINGER_SECONDS) -> None:
        self._log_in = log_in
        self._linger = linger_seconds
        self._held: dict[Way, Bastion] = {}

    def __len__(self) -> int:
        return sum(not bastion.is_over for bastion in self._held.values())

    async def lease(self, hops: Sequence[Hop], login: Login) -> tuple[asyncssh.SSHClientConnection, Release]:
        """Return the connection to the last of `hops`, through those before it, and what gives it back.

        The password of `login` isn't for these hosts. Raises what logging in to one of them raises.
        """
        login = replace(login, password=None, sudo_password=None)
        way = tuple((hop.user, hop.where) for hop in hops)
        while True:
            bastion = self._held.get(way)
            if bastion is None or bastion.is_over:
                opening = asyncio.create_task(self._open(hops, login), name=f"connect {hops[-1].where}")
                bastion = self._held[way] = Bastion(hops[-1].node, login, opening)
            self._take(bastion)
            try:
                # a caller that gives up doesn't take the login away from the others
                connection = await asyncio.shield(bastion.opening)
            except BaseException as exc:
                self._give(way, bastion)
                if not isinstance(exc, VendettaError):
                    raise
                if bastion.login == login:
                    raise _readdress(exc, bastion.node, hops[-1].node) from exc
                # another's login failed, perhaps for the want of what this caller brings
            else:
                return connection, lambda bastion=bastion: self._give(way, bastion)

    async def close(self) -> None:
        """Close all of them, also those that are being opened."""
        held, self._held = list(self._held.values()), {}
        for bastion in held:
            if bastion.closing:
                bastion.closing.cancel()
            bastion.opening.cancel()
        for bastion in held:
            with suppress(asyncio.CancelledError, VendettaError):
                (await bastion.opening).close()

    async def _open(self, hops: Sequence[Hop], login: Login) -> asyncssh.SSHClientConnection:
        *before, hop = hops
        if not before:
            _, connection = await self._log_in(hop, login, None)
            return connection
        tunnel, release = await self.lease(before, login)
        try:
            client, connection = await self._log_in(hop, login, tunnel)
        except BaseException:
            release()
            raise
        client.on_end(release)
        return connection

    def _take(self, bastion: Bastion) -> None:
        bastion.users += 1
        if bastion.closing:
            bastion.closing.cancel()
            bastion.closing = None

    def _give(self, way: Way, bastion: Bastion) -> None:
        bastion.users -= 1
        if bastion.users:
            return
        if bastion.is_over:
            self._forget(way, bastion)
        else:
            bastion.closing = asyncio.get_running_loop().call_later(self._linger, self._end, way, bastion)

    def _end(self, way: Way, bastion: Bastion) -> None:
        self._forget(way, bastion)
        if bastion.opening.done():
            if not bastion.is_over:
                bastion.opening.result().close()
        else:
            bastion.opening.cancel()

    def _forget(self, way: Way, bastion: Bastion) -> None:
        if self._held.get(way) is bastion:
            del self._held[way]


def _readdress(error: VendettaError, before: str, after: str) -> VendettaError:
    """Return the error for another node that waited for the same bastion: it names that node."""

    def rename(text: str) -> str:
        return re.sub(rf"\bnode {re.escape(before)}(?![\w-])", f"node {after}", text)

    hint = rename(error.hint) if error.hint else None
    return type(error)(rename(error.message), hint=hint, **{**error.details, "node": after})
