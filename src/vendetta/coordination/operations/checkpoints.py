"""Steps whose outcomes outlive the process. The only module that knows DBOS, which is one a process.

DBOS is launched inside the server's event loop, so it runs every workflow there, those that it resumes too: what steps
use (connections, locks) lives in that loop. A workflow is started directly, not queued: queues poll once a second.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Engine, create_engine

from vendetta.paths import operations_file
from vendetta.store.postgresql import build_postgresql_url
from vendetta.store.sqlite import make_private_file

if TYPE_CHECKING:
    from dbos import DBOSConfig

Json = dict[str, Any]
LOG = logging.getLogger("dbos")

APPLICATION_VERSION = "2"
"""Raised when the steps of a handler change in order or name: what an older version left then begins again."""

SCHEMA = "vendetta_operations"
"""Where PostgreSQL keeps the steps: beside our tables, in the same database."""

THREADS, CONNECTIONS = 16, 4
RESUMED_POLL_SECONDS = 0.2
REPEATED_AFTER_SECONDS = 60.0


class Durable:
    """`perform` is called in the entering event loop, once for each run of a workflow; it must not raise."""

    def __init__(self, location: str, executor_id: str, perform: Callable[[str], Awaitable[Json]]) -> None:
        self._location = location
        self._executor_id = executor_id
        self._perform = perform
        self._workflow: Callable[[str], Any] | None = None
        self._engine: Engine | None = None
        self._repetitions = Repetitions()

    async def __aenter__(self) -> Self:
        """Also resumes, by and by, every workflow that was running when the last process ended."""
        from dbos import DBOS  # half a second

        async def operation(id: str) -> Json:
            return await self._perform(id)

        if not LOG.handlers:
            # it would log to the console by itself; now its warnings go where all logs go
            LOG.addHandler(logging.NullHandler())
        LOG.addFilter(self._repetitions)
        DBOS(config=self._config())
        self._workflow = DBOS.workflow(name="operation", max_recovery_attempts=None)(operation)
        try:
            DBOS.launch()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def execute(self, id: str, *, resumed: bool) -> Json:
        """What `perform` returned for this id: now, in a run that was resumed, or before the last process ended."""
        from dbos import DBOS, SetWorkflowID

        if self._workflow is None:
            raise RuntimeError("used before it was entered")
        if resumed:
            status = await DBOS.get_workflow_status_async(id)
            if status and status.app_version != APPLICATION_VERSION:
                # its recorded steps don't fit any more; every step can run twice, so it begins again
                await DBOS.delete_workflows_async([id])
        with SetWorkflowID(id):
            handle = await DBOS.start_workflow_async(self._workflow, id)
        outcome: Json = await handle.get_result(polling_interval_sec=RESUMED_POLL_SECONDS)
        return outcome

    async def step(self, name: str, body: Callable[[], Awaitable[Json]]) -> Json:
        """The recorded outcome of this step, or what `body` returns, which is recorded. Only within `perform`."""
        from dbos import DBOS

        async def run() -> Json:
            return await body()

        return await DBOS.run_step_async({"name": name}, run)

    async def recover(self, executor_ids: Sequence[str]) -> None:
        """What these left in the middle is gone on with, each by one process: `perform` is called there."""
        from dbos import DBOS

        if executor_ids:
            # DBOS offers it to its own paid conductor alone
            await asyncio.to_thread(DBOS._recover_pending_workflows, list(executor_ids))  # noqa: SLF001

    async def forget(self, ids: Sequence[str]) -> None:
        from dbos import DBOS

        await DBOS.delete_workflows_async(list(ids))

    async def _close(self) -> None:
        from dbos import DBOS

        # DBOS made its threads this loop's default executor, and is about to end them
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="server"))
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        LOG.removeFilter(self._repetitions)
        if self._engine:
            await asyncio.to_thread(self._engine.dispose)

    def _config(self) -> "DBOSConfig":
        from dbos import DBOSPortableJSONSerializer

        config: DBOSConfig = {
            "name": "vendetta",
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "max_executor_threads": THREADS,
            "sys_db_pool_size": CONNECTIONS,
            # its listener sleeps that long before it notices that it should end
            "notification_listener_polling_interval_sec": RESUMED_POLL_SECONDS,
        }
        if "://" in self._location:
            # a schema of the same database, so that its user need not be allowed to make another one
            self._engine = create_engine(
                build_postgresql_url(self._location),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_pre_ping=True,
                hide_parameters=True,
            )
            config["dbos_system_schema"] = SCHEMA
            config["system_database_engine"] = self._engine
        else:
            make_private_file(Path(self._location))
            config["system_database_url"] = URL.create("sqlite", database=self._location).render_as_string()
            config["db_engine_kwargs"] = {
                "creator": partial(_connect, self._location),
                "pool_pre_ping": False,
                "hide_parameters": True,
            }
        return config


class Repetitions(logging.Filter):
    """DBOS says several times a second that its database is away, with tracebacks: the gist once a minute will do."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.WARNING:
            return True
        place, now = (record.module, record.lineno), time.monotonic()
        if now - self._said_at.get(place, -REPEATED_AFTER_SECONDS) < REPEATED_AFTER_SECONDS:
            return False
        self._said_at[place] = now
        lines = [line for line in record.getMessage().splitlines() if line.strip()]
        record.msg, record.args = " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]])), ()
        return True


def build_location(state: str) -> str:
    """Where the steps are kept: a file of its own beside SQLite's, the same PostgreSQL."""
    if "://" in state:
        return state
    return str(operations_file(Path(state)))


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, factory=PatientConnection)
    connection.execute("PRAGMA journal_mode=WAL")
    # not synced at each step: one that a power cut makes forgotten runs again, as any interrupted one does
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


@contextmanager
def _passing() -> Iterator[None]:
    """DBOS goes on trying what failed because "database is locked", and fails the workflow for anything else.

    A full disk passes too.
    """
    try:
        yield
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise sqlite3.OperationalError(f"database is locked, as it were: {exc}") from exc


class PatientCursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: Any = ()) -> Self:
        with _passing():
            return super().execute(sql, parameters)


class PatientConnection(sqlite3.Connection):
    def cursor(self, factory: Any = PatientCursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        with _passing():
            super().commit()
