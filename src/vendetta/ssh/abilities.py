"""What the sshd of a node allows, found by trying: forwarding, terminals, SFTP, sessions at once.

Nothing here falls back to another way: it is asked whether this one works.
"""

import asyncio
from collections.abc import Sequence

import asyncssh

from .sessions import MOST, Sessions, is_refused

CLOSED_PORT = 1
"""Nothing listens there (tcpmux), so that sshd's answer tells a refusal of its own from a connection's."""
REAPED_SECONDS = 0.1
"""sshd counts a session a moment longer than we do."""


class Abilities:
    """Made by `Connection.abilities`. What asyncssh raises where the link is the reason is left to the caller."""

    def __init__(self, connection: asyncssh.SSHClientConnection, sessions: Sessions) -> None:
        self._connection = connection
        self._sessions = sessions

    async def forwards_tcp(self) -> bool:
        try:
            _, writer = await self._connection.open_connection("127.0.0.1", CLOSED_PORT, encoding=None)
        except asyncssh.ChannelOpenError as exc:
            if exc.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                return False
            if is_refused(exc):
                return True
            raise
        writer.close()
        return True

    async def forwards_unix(self, paths: Sequence[str]) -> bool:
        """`paths` are sockets that listen, and that the login user may use: sshd says no more than yes or no."""
        for path in paths:
            try:
                _, writer = await self._connection.open_unix_connection(path, encoding=None)
            except asyncssh.ChannelOpenError as exc:
                if not is_refused(exc) and exc.code != asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                    raise
            else:
                writer.close()
                return True
        return False

    async def has_sftp(self) -> bool:
        try:
            async with self._sessions.slot(), await self._sessions.open(self._connection.start_sftp_client):
                return True
        except asyncssh.ChannelOpenError as exc:
            if is_refused(exc):
                raise
            return False

    async def gives_terminals(self) -> bool:
        async def ask() -> "asyncssh.SSHClientProcess[bytes]":
            return await self._connection.create_process("exit", encoding=None, term_type="dumb")

        async with self._sessions.slot():
            try:
                process = await self._sessions.open(ask)
            except asyncssh.ChannelOpenError as exc:
                if is_refused(exc):
                    raise
                return False
            process.close()
            await process.wait_closed()
            return True

    async def count_sessions(self) -> int:
        """How many it grants at once, up to the usual ten, with those that are open already.

        They are asked for past the slots, because sshd may allow more than was learnt so far. Whoever else is refused
        in these milliseconds asks again.
        """
        granted = await self._open_many()
        if granted < MOST:
            await asyncio.sleep(REAPED_SECONDS)
            granted = max(granted, await self._open_many())
        return granted

    async def _open_many(self) -> int:
        in_use = self._sessions.used
        answers = await asyncio.gather(*(self._open() for _ in range(MOST - in_use)), return_exceptions=True)
        opened = [answer for answer in answers if isinstance(answer, asyncssh.SSHClientProcess)]
        for process in opened:
            process.close()
        await asyncio.gather(*(process.wait_closed() for process in opened))
        for answer in answers:
            if isinstance(answer, BaseException) and not is_refused_error(answer):
                raise answer
        return in_use + len(opened)

    async def _open(self) -> "asyncssh.SSHClientProcess[bytes]":
        # it waits for its input, which is as long as the channel is open
        return await self._connection.create_process("cat", encoding=None)


def is_refused_error(error: BaseException) -> bool:
    return isinstance(error, asyncssh.ChannelOpenError) and is_refused(error)
