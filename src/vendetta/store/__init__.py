"""What the server remembers: nodes, workspaces, operations, events, tokens. No network call happens in here."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DatabaseError, IntegrityError

from vendetta.errors import InvalidInput
from vendetta.paths import describe_location, operations_file

from .adoption import Adoption
from .claims import ClaimedNode, Claims, Lease, LeaseLost, NodeClaim, OperationLease, fence
from .connection import hold
from .credentials import Credential, Credentials
from .database import Database, Joined, StoreUnavailable
from .events import Events
from .news import News, Payload
from .nodes import Nodes
from .operations import Operations
from .replicas import Peer, Replicas
from .rows import Page
from .schema import HEAD, current_version, prepare
from .steps import STEPS_VERSION, OperationSteps, Outcome, number_step
from .tables import properties
from .tokens import Tokens
from .workspaces import Committed, Workspaces

__all__ = [
    "STEPS_VERSION",
    "ClaimedNode",
    "Committed",
    "Credential",
    "Lease",
    "LeaseLost",
    "NodeClaim",
    "OperationLease",
    "Outcome",
    "Page",
    "Peer",
    "Store",
    "StoreUnavailable",
    "Transaction",
    "number_step",
]


PROBE_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Transaction:
    """Hold the tables within one transaction: what is read and written through them happens together, or not at all."""

    nodes: Nodes
    workspaces: Workspaces
    operations: Operations
    steps: OperationSteps
    events: Events
    notify: Callable[[str, Payload], Awaitable[None]]
    """Tells all servers of a topic, once it is committed."""
    fence: Callable[[NodeClaim], Awaitable[None]]
    """Until the end the claim counts: as that of `Store.transaction`, where there are several. Raises `LeaseLost`."""


class Store:
    """Open the database and its tables. Entered before use; `server_id` is made with the database and never changes.

    `steps_version` is that of the steps by which operations are performed here: see `steps`.
    """

    def __init__(self, location: str, steps_version: str = STEPS_VERSION) -> None:
        self.location = location if "://" in location else str(Path(location).expanduser())
        """May hold a password: `describe_location` says it to people."""
        self.server_id = ""
        self._database = Database(self.location)
        self.news = News(self._database)
        self.nodes = Nodes(self._database)
        self.workspaces = Workspaces(self._database)
        self.steps_version = steps_version
        self.operations = Operations(self._database, steps_version)
        self.steps = OperationSteps(self._database)
        older_file = None if self.shared else operations_file(Path(self.location))
        self.adoption = Adoption(self._database, steps_version, older_file)
        self.events = Events(self._database, self.news)
        self.tokens = Tokens(self._database)
        self.replicas = Replicas(self._database, self.news, steps_version, shared=self.shared)
        self.claims = Claims(self._database, self.news)
        self.credentials = Credentials(self._database)

    @property
    def shared(self) -> bool:
        """Return whether other processes, on other machines, may use the same state."""
        return self._database.shared

    @asynccontextmanager
    async def transaction(self, lease: Lease | None = None) -> AsyncIterator[Transaction]:
        """Begin a transaction. With a `lease` it is fenced: nobody else takes what is leased before it ends.

        Append events last: from the first on, other servers wait with theirs. Raises `LeaseLost` where the lease
        counts no more, `StoreUnavailable`.
        """
        async with self._database.write() as connection:
            if lease is not None:
                await fence(connection, lease)
            joined = Joined(connection)
            yield Transaction(
                Nodes(joined),
                Workspaces(joined),
                Operations(joined, self.steps_version),
                OperationSteps(joined),
                Events(joined, self.news),
                partial(self.news.notify_within, connection),
                partial(fence, connection),
            )

    @classmethod
    def open(cls, state_file: str, steps_version: str = STEPS_VERSION) -> Self:
        """Use as `async with Store.open(…)`, with a path for SQLite, or a `postgresql://` URL; migrated on entering.

        Raises `InvalidInput` for a place that can't be used, `Unsupported` for the state of a newer program.
        """
        return cls(state_file, steps_version)

    async def __aenter__(self) -> Self:
        try:
            await self._migrate()
            self.server_id = await self._identify()
            await self.news.__aenter__()
        except (DatabaseError, StoreUnavailable) as exc:
            await self._database.close()
            reason = exc.orig if isinstance(exc, DatabaseError) else self._database.trouble
            raise InvalidInput(f"can't open state_file {describe_location(self.location)}: {reason}") from exc
        except BaseException:
            await self._database.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.news.__aexit__(kind, error, trace)
        await self._database.close()

    def exclusive(self, name: str) -> AbstractAsyncContextManager[None]:
        """Run the block for one caller at a time, among all servers: see `Database.exclusive`."""
        return self._database.exclusive(name)

    async def check(self) -> None:
        """Raise `StoreUnavailable` where it can't be read, or where the last write failed and writing still fails."""
        async with self._database.read() as connection:
            await connection.execute(select(1))
        if self._database.trouble:
            # on a full disk there may be room for a little; so it is asked for more than a change takes
            with suppress(IntegrityError):  # another server asks too, and so it can be written
                for size in (PROBE_BYTES, 0):
                    async with self._database.write() as connection:
                        await connection.execute(delete(properties).where(properties.c.name == "probe"))
                        await connection.execute(insert(properties).values(name="probe", value="x" * size))

    async def _migrate(self) -> None:
        async with self._database.read() as connection:
            version = await connection.run_sync(current_version)
        if version != HEAD:
            async with self._database.write(in_time=False) as connection:
                # of several servers that start at once one migrates; the others wait, and find nothing to do
                await hold(connection, "schema")
                await connection.run_sync(prepare, describe_location(self.location))

    async def _identify(self) -> str:
        if known := await self._known_id():
            return known
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(properties).values(name="server_id", value=uuid.uuid4().hex))
        except IntegrityError:
            pass  # another process was quicker
        return await self._known_id() or ""

    async def _known_id(self) -> str | None:
        query = select(properties.c.value).where(properties.c.name == "server_id")
        async with self._database.read() as connection:
            known: str | None = (await connection.execute(query)).scalar()
        return known
