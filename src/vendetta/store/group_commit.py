"""Who may write into a SQLite file just now, and the commits: those that wait for the disk at once wait for it once.

One writer's block runs at a time. While a commit is in its thread others queue up: their blocks then run in one
transaction, one after another, each after the first in a savepoint of its own. So one that raises is undone alone. One
commit ends it for all of them; nobody is told anything before, not even what made a block raise: it may have read what
another of them wrote.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from .connection import Connection, expect_acts

BUSY_SECONDS = 5.0
"""How long a writer waits for those of other processes."""
BUSY_PAUSE_SECONDS = 0.01
TURN_SECONDS = 30.0
"""How long a writer waits for those of its own process before it says that the database is stuck.

Hundreds that are asked for at once on a busy machine take some ten seconds, and are done.
"""
LARGEST = 100
"""Of writers that share a commit. The first of them waits for the blocks of the others."""


@dataclass(slots=True)
class Group:
    """Count writers whose blocks have ended, to be committed together, and keep what is to be called then."""

    size: int = 0
    acts: list[Callable[[], None]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None

    def end(self, error: BaseException | None) -> None:
        """Let those who wait go on; `error` is why nothing was committed, None where all of it was."""
        self.error = error
        self.ended.set()

    async def wait(self) -> None:
        """Wait for the commit to end, even when cancelled meanwhile. Raises what kept it from being committed."""
        cancelled = False
        while self.size and not self.ended.is_set():
            try:
                await self.ended.wait()
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError from self.error
        if self.error:
            raise self.error


class GroupCommit:
    """Run transactions on `connection`, by its `driver`: one in autocommit that never waits for a lock by itself.

    Raises what SQLAlchemy raises, and `TimeoutError`.
    """

    def __init__(self, connection: Connection, driver: sqlite3.Connection) -> None:
        self._connection = connection
        self._driver = driver
        self._taken = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._group = Group()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Run the block as a transaction when its turn comes, and return once that is committed.

        Raises `TimeoutError` where the turn doesn't come within TURN_SECONDS.
        """
        if self._taken:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await self._wait_for_turn()
            except TimeoutError as exc:
                raise TimeoutError("it is busy with what was asked before") from exc
        self._taken = True
        group = self._group
        try:
            try:
                await self._begin()
                acts = expect_acts(self._connection)
                yield self._connection
                self._keep(acts)
            except BaseException as exc:
                self._undo(exc)
                raise
            finally:
                self._pass_on()
        except Exception:
            await group.wait()
            raise
        await group.wait()

    async def close(self) -> None:
        """Commit what has been written, and refuse what waits. The connection is the caller's to close, at once."""
        if self._taken:
            await self._wait_for_turn()
        self._taken = True
        self._thread.shutdown(wait=False)
        if self._group.size:
            try:
                self._say("COMMIT")
            except DBAPIError as exc:
                self._end(exc)
            else:
                self._end(None)
        self._pass_on()

    async def _wait_for_turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        if self._give_turn():
            return
        if self._group.size:
            # after those who are about to ask: the members of a group go on at once, and often write again
            asyncio.get_running_loop().call_soon(self._commit)
        else:
            self._taken = False

    def _give_turn(self) -> bool:
        """Give the turn to the writer that waits the longest. Returns False where none waits, or the group is full."""
        while self._queue and self._group.size < LARGEST:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False

    async def _begin(self) -> None:
        if self._group.size:
            self._say("SAVEPOINT writer")
            return
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._say("BEGIN IMMEDIATE")
            except DBAPIError as exc:
                if not _is_busy(exc) or time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(BUSY_PAUSE_SECONDS)
            else:
                return

    def _keep(self, acts: Iterable[Callable[[], None]]) -> None:
        if self._group.size:
            self._say("RELEASE writer")
        self._group.size += 1
        self._group.acts += acts

    def _undo(self, cause: BaseException) -> None:
        """Undo what this writer alone has written, if the database can."""
        if self._group.size:
            try:
                self._say("ROLLBACK TO writer")
                self._say("RELEASE writer")
            except DBAPIError as exc:
                # a full disk, for one, has undone the others too
                self._end(cause if isinstance(cause, DBAPIError) else exc)
        else:
            self._roll_back()

    def _commit(self) -> None:
        if self._give_turn():
            return
        loop = asyncio.get_running_loop()
        committing = self._thread.submit(self._say, "COMMIT")
        committing.add_done_callback(lambda done: loop.call_soon_threadsafe(self._committed, done.exception()))

    def _committed(self, error: BaseException | None) -> None:
        try:
            self._end(error)
        finally:
            self._pass_on()

    def _end(self, error: BaseException | None) -> None:
        group, self._group = self._group, Group()
        try:
            if error:
                self._roll_back()
            else:
                for act in group.acts:
                    act()
        finally:
            group.end(error)

    def _roll_back(self) -> None:
        if self._driver.in_transaction:
            self._say("ROLLBACK")

    def _say(self, statement: str) -> None:
        """Execute on the driver: what is the same every time costs SQLAlchemy ten times as much as SQLite."""
        try:
            self._driver.execute(statement)
        except sqlite3.Error as exc:
            raise DBAPIError.instance(statement, None, exc, sqlite3.Error) from exc


def _is_busy(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
