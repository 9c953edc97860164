"""Send short messages by topic to every process on this database, the sender too. They are not stored.

On SQLite there is one process, and a message arrives as its transaction ends. On PostgreSQL it is a NOTIFY of the same
transaction, received on a connection of its own. A listener must be able to read from the store what it has missed: it
is called with None when that may have happened, which is when that connection is lost, at each try to open it again,
and when it is back.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
import structlog
from sqlalchemy import text

from vendetta.signals import Signal
from vendetta.tasks import cancel_and_wait

from .connection import Connection, after_commit, is_shared
from .database import Database
from .postgresql import Postgresql

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger(__name__)

Payload = dict[str, Any]
Listener = Callable[[Payload | None], None]

CHANNEL = "vendetta"
LONGEST = 7_999
"""The bytes of a message that PostgreSQL takes at most."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0

_NOTIFY = text("SELECT pg_notify(:channel, :message)")


class News:
    """Send messages and call listeners. Entered before anything is received from other processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._signals: dict[str, Signal[Payload | None]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    async def __aenter__(self) -> Self:
        if self._database.postgresql:
            self._listening = asyncio.create_task(self._listen(self._database.postgresql))
            await self._tried.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listening:
            await cancel_and_wait(self._listening)

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` in the event loop with each payload, and with None where some may have been missed.

        It must not take long. Returns the function that unsubscribes it.
        """
        return self._signals.setdefault(topic, Signal(f"news of {topic}")).listen(listener)

    async def notify(self, topic: str, payload: Payload) -> None:
        """Send a message, in a transaction of its own. Raises `StoreUnavailable`, `ValueError` if it is too long."""
        async with self._database.write() as connection:
            await self.notify_within(connection, topic, payload)

    async def notify_within(
        self, connection: Connection, topic: str, payload: Payload, *, shorter: Payload | None = None
    ) -> None:
        """Send a message if and when the transaction that `Database.write` gave is committed.

        `shorter` is sent in place of a payload that takes more than LONGEST bytes on PostgreSQL. Raises `ValueError`
        where there is none, or it is too long itself.
        """
        if not is_shared(connection):
            after_commit(connection, lambda: self._deliver(topic, payload))
            return
        message = msgspec.json.encode((topic, payload))
        if len(message) > LONGEST and shorter is not None:
            message = msgspec.json.encode((topic, shorter))
        if len(message) > LONGEST:
            raise ValueError(f"a message on {topic} is longer than {LONGEST} bytes")
        values = {"channel": CHANNEL, "message": message.decode()}
        await connection.execute(_NOTIFY, values)

    async def _listen(self, postgresql: Postgresql) -> None:
        import psycopg

        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with await postgresql.connect_alone() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    pause = FIRST_PAUSE_SECONDS
                    await self._receive(connection)
            except psycopg.Error as exc:
                log.warning("news of other servers are not received", reason=" ".join(str(exc).split()))
            self._tried.set()
            self._deliver_missed()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _receive(self, connection: "psycopg.AsyncConnection") -> None:
        self._tried.set()
        self._deliver_missed()
        async for notification in connection.notifies():
            try:
                topic, payload = msgspec.json.decode(notification.payload, type=tuple[str, Payload])
            except msgspec.DecodeError:
                continue  # somebody else's
            self._deliver(topic, payload)

    def _deliver_missed(self) -> None:
        for topic in list(self._signals):
            self._deliver(topic, None)

    def _deliver(self, topic: str, payload: Payload | None) -> None:
        if signal := self._signals.get(topic):
            signal.send(payload)
