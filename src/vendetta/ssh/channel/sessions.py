"""Limit the sessions that are open at once on one connection: sshd refuses more than its `MaxSessions`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncssh

T = TypeVar("T")

MOST = 10
"""What sshd allows unless it is configured otherwise."""
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""sshd counts a session until it has reaped its process, a moment after we see the end: so it is asked again."""
ALONE_PAUSES = (*PAUSES, 1.0, 2.0, 4.0)
"""The pauses if no session of ours is left to wait for, seconds as above."""


class SessionsEnded(ConnectionError):
    """The connection ended while a caller waited for a session."""


class Sessions:
    """Slots for sessions, handed out in order. The limit falls when sshd shows that it allows less."""

    def __init__(self, limit: int = MOST) -> None:
        self._limit = limit
        self._used = 0
        self._asking = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ended = False

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def used(self) -> int:
        """How many are open, or being asked for."""
        return self._used

    @property
    def granted(self) -> int:
        """How many are open."""
        return self._used - self._asking

    def lower(self, limit: int) -> None:
        """Lower the limit to what sshd is known to grant, to one at least."""
        self._limit = max(1, min(self._limit, limit))

    async def acquire(self) -> None:
        """Wait for a slot and take it. Raises `SessionsEnded` if the connection ends first."""
        if self._ended:
            raise SessionsEnded
        if self._used < self._limit and not self._waiting:
            self._used += 1
            return
        await self._wait(self._waiting.append)

    def release(self) -> None:
        """Give a slot back to the first who waits."""
        self._used -= 1
        self._hand_out()

    def end(self) -> None:
        """Raise `SessionsEnded` for all who wait: the connection has ended."""
        self._ended = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(SessionsEnded())

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot while the block runs. Raises `SessionsEnded`."""
        await self.acquire()
        try:
            yield
        finally:
            self.release()

    async def open(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask sshd for a session, holding a slot.

        If sshd refuses for long while others are open, wait for one to end.
        """
        while True:
            alone = self._used == 1
            self._asking += 1
            try:
                for pause in ALONE_PAUSES if alone else PAUSES:
                    try:
                        return await ask()
                    except asyncssh.ChannelOpenError as exc:
                        if not is_refused(exc):
                            raise
                        await asyncio.sleep(pause)
                if alone:
                    return await ask()
            finally:
                self._asking -= 1
            await self._step_back()

    async def _step_back(self) -> None:
        """Give the slot back, lower the limit to what sshd has granted, and wait as the first for the next one."""
        self._used -= 1
        self.lower(self.granted)
        try:
            await self._wait(self._waiting.appendleft)
        except BaseException:
            self._used += 1  # for the caller, who releases the slot it believes to hold
            raise

    async def _wait(self, enqueue: Callable[[asyncio.Future[None]], None]) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        enqueue(waiter)
        self._hand_out()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()  # it was handed out just as the caller gave up
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    def _hand_out(self) -> None:
        while self._waiting and self._used < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._used += 1
                waiter.set_result(None)


def is_refused(error: Exception) -> bool:
    """Return whether sshd refused a session, which is all that it says when `MaxSessions` are open."""
    return isinstance(error, asyncssh.ChannelOpenError) and error.code == asyncssh.OPEN_CONNECT_FAILED
