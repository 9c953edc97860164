"""Steps whose outcomes outlive the process. The only module that knows DBOS, which is one a process.

DBOS is launched inside the server's event loop, so it runs every workflow there, those that it resumes too: what steps
use (connections, locks) lives in that loop. A workflow is started directly, never queued: its queues poll once a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from vendetta.store.database import make_private_file

if TYPE_CHECKING:
    from dbos import DBOSConfig

Json = dict[str, Any]

APPLICATION_VERSION = "1"
"""DBOS resumes only what the same version began. Raised when recorded steps can't be continued by the new handlers."""

THREADS = 16
RESUMED_POLL_SECONDS = 0.2


class Durable:
    """`perform` is called in the entering event loop, once for each run of a workflow; it must not raise."""

    def __init__(self, location: str, executor_id: str, perform: Callable[[str], Awaitable[Json]]) -> None:
        self._location = location
        self._executor_id = executor_id
        self._perform = perform
        self._workflow: Callable[[str], Any] | None = None
        self._engine: Engine | None = None

    async def __aenter__(self) -> Self:
        """Also resumes, by and by, every workflow that was running when the last process ended."""
        from dbos import DBOS  # half a second

        async def operation(id: str) -> Json:
            return await self._perform(id)

        DBOS(config=self._config())
        self._workflow = DBOS.workflow(name="operation", max_recovery_attempts=None)(operation)
        DBOS.launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from dbos import DBOS

        # DBOS made its threads this loop's default executor, and is about to end them
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="server"))
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._engine:
            self._engine.dispose()

    async def execute(self, id: str) -> Json:
        """What `perform` returned for this id: now, in a run that was resumed, or before the last process ended."""
        from dbos import DBOS, SetWorkflowID

        if self._workflow is None:
            raise RuntimeError("used before it was entered")
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

    async def forget(self, ids: Sequence[str]) -> None:
        from dbos import DBOS

        await DBOS.delete_workflows_async(list(ids))

    def _config(self) -> "DBOSConfig":
        from dbos import DBOSPortableJSONSerializer

        config: DBOSConfig = {
            "name": "vendetta",
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "max_executor_threads": THREADS,
            # its listener sleeps that long before it notices that it should end
            "notification_listener_polling_interval_sec": RESUMED_POLL_SECONDS,
        }
        if "://" in self._location:
            url = make_url(self._location).set(drivername="postgresql+psycopg")
            config["system_database_url"] = url.render_as_string(hide_password=False)
        else:
            self._engine = _build_engine(Path(self._location))
            config["system_database_url"] = f"sqlite:///{self._location}"
            config["system_database_engine"] = self._engine
        return config


def _build_engine(path: Path) -> Engine:
    make_private_file(path)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", _set_up_connection)
    return engine


def _set_up_connection(connection: DBAPIConnection, record: object) -> None:
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "busy_timeout=30000", "foreign_keys=ON", "synchronous=NORMAL"):
        # not synced at each step: a step that a power cut makes forgotten runs again, as any interrupted one does
        connection.cursor().execute(f"PRAGMA {pragma}")
