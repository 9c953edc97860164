"""Operations: what changes something, recorded before it begins, done in steps, and brought to its end after a crash.

The row in the store is the truth that users see; the outcomes of steps are kept by `durable`. Operations on one target
run one after another, in the order in which they were asked for; those on different targets side by side.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec

from vendetta.coordination.events import Events
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import ServerUnavailable, Unsupported
from vendetta.models import FINISHED, Operation
from vendetta.ssh.breaker import build_pause
from vendetta.store import Page, Store, StoreUnavailable

from .adoption import Adoption
from .journal import Journal, Peers, check_cancelled
from .lanes import LiveOperation
from .link_waiters import LinkWaiters
from .retry_rules import Pause
from .runner import DEADLINE_SECONDS, Handler, Runner
from .steps import Steps, build_cancelled, build_problem

__all__ = ["Handler", "Operations", "Steps"]

KEEP = 10_000


class Operations:
    """One a process. Handlers are registered before it is entered, which resumes what the last process left."""

    def __init__(
        self,
        store: Store,
        events: Events,
        *,
        drain_seconds: float = 30.0,
        keep: int = KEEP,
        pause: Pause = lambda failures: build_pause(failures, random.random()),  # noqa: S311
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        group: Peers | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._keep = keep
        self._deadlines: dict[str, float] = {}
        self.waiting = LinkWaiters()
        self._records = Journal(store, events, group, stopping=self._is_stopping, clock=clock)
        self._lives = Runner(
            store,
            self._records,
            join=lambda taken: self._takeover.join(taken),
            waiting=self.waiting,
            pause=pause,
            clock=clock,
            keep=keep,
        )
        self._takeover = Adoption(store, self._records, self._lives, group)

    def register(
        self, kind: str, handler: Handler, *, takes_turns: bool = True, deadline_seconds: float | None = None
    ) -> None:
        """Register what performs a kind, which is noun and verb.

        Operations of one noun on one target take turns, unless `takes_turns` is false. `deadline_seconds` is for those
        that are submitted without one; None: an hour.
        """
        self._lives.handlers[kind] = handler
        self._deadlines[kind] = deadline_seconds or DEADLINE_SECONDS
        if not takes_turns:
            self._lives.runs.side_by_side.add(kind)

    async def __aenter__(self) -> Self:
        self._unsubscribe = self._records.listen(self._hear_cancel)
        # known before the first workflow is resumed, which happens on entering
        gone = await self._takeover.prepare()
        await self._lives.durable.__aenter__()
        await self._takeover.begin(gone)
        self._telling = asyncio.create_task(self._records.follow_progress(self._lives.runs))
        await self.prune(keep=self._keep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What runs may run on for the time to drain; what isn't done then is resumed by the next process."""
        self._lives.stopping = self.waiting.over = True
        self._unsubscribe()
        self._records.wake()
        self._telling.cancel()
        try:
            await self._lives.end(self._drain_seconds)
        finally:
            await self._lives.durable.__aexit__(kind, error, trace)

    @property
    def running(self) -> int:
        return sum(run.operation.state == "running" for run in self._lives.runs)

    async def submit(
        self,
        kind: str,
        target: str,
        input: dict[str, Any],
        *,
        actor: str,
        key: str | None = None,
        deadline_seconds: float | None = None,
    ) -> Operation:
        """Records it, and begins it when its turn comes. The same `key` again: the operation that it made.

        What isn't done within `deadline_seconds` (None: those of its kind) from now fails.

        Raises `Conflict` where that one was asked for something else, `ServerUnavailable` while the server stops.
        """
        if kind not in self._lives.handlers:
            raise Unsupported(f"this server has no operation {kind}")
        if self._lives.stopping or not self._records.holding:
            why = "is stopping" if self._lives.stopping else "has lost its database for a moment"
            raise ServerUnavailable(f"the server {why}", hint="Try again in a moment.")
        now = self._clock()
        operation = Operation(
            id=uuid.uuid4().hex,
            kind=kind,
            target=target,
            state="pending",
            actor=actor,
            created_at=now,
            deadline=now + timedelta(seconds=deadline_seconds or self._deadlines[kind]),
        )
        # its place in the line is taken before anything is awaited; a caller that goes away doesn't take it back
        run = self._lives.line_up(operation, msgspec.json.decode(msgspec.json.encode(input)))
        recorded = await asyncio.shield(self._lives.spawn(self._admit(run, key)))
        if recorded.id == operation.id:
            return operation
        await self._records.check_same(run, recorded, key)
        return await self.get(recorded.id)

    async def known(self, key: str | None) -> bool:
        """Whether an operation was submitted with that key."""
        return key is not None and await self._store.operations.by_key(key) is not None

    async def get(self, id: str) -> Operation:
        """Raises `OperationNotFound`."""
        run = self._lives.runs.get(id)
        if run and run.life:
            return run.operation
        return self._with_progress(await self._store.operations.get(id))

    async def list(
        self,
        *,
        state: str | None = None,
        target: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Operation]:
        """The newest first."""
        page = await self._store.operations.list(state=state, target=target, kind=kind, limit=limit, cursor=cursor)
        return replace(page, items=[self._with_progress(operation) for operation in page.items])

    async def wait(self, id: str, timeout_seconds: float | None) -> Operation:
        """Once it is finished; as it is when the time is over. None: however long it takes.

        Raises `OperationNotFound`, `ServerUnavailable` where the server stops before.
        """
        operation = await self.get(id)
        try:
            async with asyncio.timeout(timeout_seconds):
                async for snapshot in self.watch(id):
                    operation = snapshot
        except TimeoutError:
            return operation
        if operation.state not in FINISHED:
            raise ServerUnavailable(
                f"the server stops before operation {id} is done, and goes on with it when it is back",
                hint=f"Then: vendetta operation wait {id}",
            )
        return operation

    async def watch(self, id: str) -> AsyncIterator[Operation]:
        """Its state now, then at each change and as it gets on, until it is finished or the server stops.

        Raises `OperationNotFound`.
        """
        run = self._lives.runs.get(id)
        if run and run.life:
            async for operation in run.snapshots():
                yield operation
            if run.operation.state in FINISHED or not self._records.shared:
                return
        async for operation in self._records.watch(id):
            yield operation

    async def cancel(self, id: str) -> Operation:
        """Pending: cancelled. Running: its step is stopped and it is undone, which may take a moment to be `cancelled`.

        Cancelled already: nothing. Raises `OperationNotFound`, `WrongState` where it has ended otherwise.
        """
        run = self._lives.runs.get(id)
        if run and run.life:
            return await self._cancel(run)
        operation = await self._store.operations.get(id)
        if operation.state in FINISHED or not self._records.shared:
            return check_cancelled(operation)
        await self._store.operations.update(id, cancelling=True)
        await self._records.tell_cancel(id)
        return operation

    async def _cancel(self, run: LiveOperation) -> Operation:
        async with run.transition:
            if run.operation.state in FINISHED:
                return check_cancelled(run.operation)
            if await self._cancelled_pending(run):
                return run.operation
            # kept, so that a crash in between doesn't make anyone forget it
            await self._store.operations.update(run.operation.id, cancelling=True)
            await self._records.tell_cancel(run.operation.id)
            run.stop_step()
        return run.operation

    def _hear_cancel(self, id: str | None) -> None:
        """By whichever process it was asked for; None: some may have been missed."""
        for run in [self._lives.runs.get(id)] if id else self._lives.runs:
            if run and not (run.cancelling or run.asking):
                run.asking = True
                self._lives.spawn(self._cancel_if_asked(run))

    async def _cancel_if_asked(self, run: LiveOperation) -> None:
        async def ask() -> bool:
            run.asking = False  # what is heard from now on is another question
            try:
                return await self._store.operations.cancelling(run.operation.id)
            except StoreUnavailable:
                run.asking = True
                raise

        try:
            asked = await retry_while_store_is_down(ask, stopping=self._is_stopping)
        except StoreUnavailable:
            return  # the process that goes on with it reads it
        if asked:
            async with run.transition:
                if run.operation.state not in FINISHED and not await self._cancelled_pending(run):
                    run.stop_step()

    async def _cancelled_pending(self, run: LiveOperation) -> bool:
        """Ends it where it has not begun; False where it has. Within its transition."""
        if run.operation.state != "pending":
            return False
        await self._lives.settle(run, "cancelled", build_problem(build_cancelled(run.operation)))
        return True

    async def prune(self, *, keep: int, before: datetime | None = None) -> int:
        """Forgets finished operations but the newest, and those that finished before a time. Returns how many."""
        return await self._lives.prune(keep, before)

    async def _admit(self, run: LiveOperation, key: str | None) -> Operation:
        try:
            recorded, created = await self._store.operations.add(
                run.operation, run.input, key, lane=run.lane, holder=self._records.holder
            )
        except BaseException:
            self._lives.runs.leave(run)
            raise
        if created:
            self._lives.begin(run)
        else:
            self._lives.runs.leave(run)
        return recorded

    def _with_progress(self, operation: Operation) -> Operation:
        run = self._lives.runs.get(operation.id)
        return run.operation if run and run.life else self._records.with_progress(operation)

    def _is_stopping(self) -> bool:
        return self._lives.stopping
