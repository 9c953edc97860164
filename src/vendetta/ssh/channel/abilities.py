"""Find out what the sshd of a node allows, by trying: forwarding, terminals, sessions at once.

Nothing here falls back to another way: it is asked whether this one works.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

import asyncssh

from vendetta.ssh.failures import using

from .sessions import MOST, Sessions, is_refused

CLOSED_PORT = 1
"""A port (tcpmux) where nothing listens, so that a refusal is sshd's own and not that of a service."""
REAPED_SECONDS = 0.2
"""sshd counts a session a moment longer than we do."""


class Abilities:
    """Ask what the sshd of a node allows. Every method raises a `LinkError` if the link is the reason for a failure."""

    def __init__(self, node: str, connection: asyncssh.SSHClientConnection, sessions: Sessions) -> None:
        self._node = node
        self._connection = connection
        self._sessions = sessions

    async def forwards_tcp(self) -> bool:
        """Return whether sshd forwards TCP connections to the node's own ports."""
        return await self._allowed(
            lambda: self._connection.open_connection("127.0.0.1", CLOSED_PORT, encoding=None),
            unless=lambda exc: exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
        )

    async def forwards_unix(self, paths: Sequence[str]) -> bool | None:
        """Return whether sshd forwards unix sockets. `paths` are sockets that listen and that the login user may use.

        Without any path, sshd is asked to listen on a socket itself; None if it doesn't, so that there is nothing to
        try.
        """
        if not paths:
            return await self._forwards_own_socket()
        for path in paths:
            if await self._forwards_socket(path):
                return True
        return False

    async def gives_terminals(self) -> bool:
        """Return whether sshd gives a process a terminal."""

        async def ask() -> "asyncssh.SSHClientProcess[bytes]":
            return await self._connection.create_process("exit", encoding=None, term_type="dumb")

        with using(self._node, "ask for a terminal"):
            async with self._sessions.slot():
                try:
                    process = await self._sessions.open(ask)
                except asyncssh.ChannelOpenError as exc:
                    if exc.code != asyncssh.OPEN_REQUEST_PTY_FAILED:
                        raise
                    return False
                process.close()
                return True

    async def count_sessions(self) -> int:
        """Count the sessions that sshd grants at once, up to the usual ten, those that are open already included.

        They are asked for past the slots, because sshd may allow more than was learnt so far. Another caller that is
        refused in these milliseconds asks again.
        """
        with using(self._node, "count its sessions"):
            granted = await self._open_many()
            if granted < MOST:
                await asyncio.sleep(REAPED_SECONDS)
                granted = max(granted, await self._open_many())
        return granted

    async def _forwards_socket(self, path: str) -> bool:
        return await self._allowed(
            lambda: self._connection.open_unix_connection(path, encoding=None), unless=lambda exc: True
        )

    async def _forwards_own_socket(self) -> bool | None:
        path = f"/tmp/vendetta-{secrets.token_hex(8)}.sock"  # noqa: S108 - of the node
        with using(self._node, "try forwarding"):
            try:
                listener = await self._connection.start_unix_server(lambda: _hang_up, path, encoding=None)
            except asyncssh.ChannelListenError:
                return None
        try:
            return await self._forwards_socket(path)
        finally:
            listener.close()
            await self._remove(path)

    async def _remove(self, path: str) -> None:
        """Remove the socket, which sshd leaves behind."""
        with using(self._node, f"remove {path}"):
            async with self._sessions.slot():
                process = await self._sessions.open(lambda: self._connection.create_process(f"rm -f {path}"))
                await process.wait()

    async def _open_many(self) -> int:
        in_use = self._sessions.granted
        # each waits for its input, which is as long as the channel is open
        asking = (self._connection.create_process("cat", encoding=None) for _ in range(MOST - in_use))
        answers = await asyncio.gather(*asking, return_exceptions=True)
        # of those that were in use some may have ended, and others just begun: the fewer were open all the time
        in_use = min(in_use, self._sessions.granted)
        opened = [answer for answer in answers if isinstance(answer, asyncssh.SSHClientProcess)]
        for process in opened:
            process.close()
        for answer in answers:
            if isinstance(answer, BaseException) and not self._refuses(answer):
                raise answer
        return in_use + len(opened)

    async def _allowed(
        self,
        ask: Callable[[], "Awaitable[tuple[object, asyncssh.SSHWriter[bytes]]]"],
        *,
        unless: Callable[[asyncssh.ChannelOpenError], bool],
    ) -> bool:
        with using(self._node, "try forwarding"):
            try:
                _, writer = await ask()
            except asyncssh.ChannelOpenError as exc:
                if self._connection.is_closed():
                    raise
                return not unless(exc)
            writer.close()
            return True

    def _refuses(self, answer: BaseException) -> bool:
        return isinstance(answer, Exception) and is_refused(answer) and not self._connection.is_closed()


def _hang_up(reader: object, writer: "asyncssh.SSHWriter[bytes]") -> None:
    writer.close()
