"""Operations: what changes something, recorded before it begins, done in steps, and brought to its end after a crash.

All that is known of one is in the store: its row, which users see, and the outcomes of its steps. Operations on one
target run one after another, in the order in which they were asked for; those on different targets side by side.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.retry_rules import Pause
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import ServerUnavailable, Unsupported
from vendetta.models import FINISHED, Operation
from vendetta.ssh.breaker import build_pause
from vendetta.store import Page, Store, StoreUnavailable

from .adoption import Adoption
from .journal import Journal, Peers, check_cancelled
from .lanes import LiveOperation
from .link_waiters import LinkWaiters
from .runner import DEADLINE_SECONDS, KEEP, Handler, Runner
from .steps import StepContext, Steps, build_cancelled, build_problem

__all__ = ["Handler", "Operations", "Steps"]


class Operations:
    """Record and perform operations, one object a process. Register handlers first: entering resumes what was left."""

    def __init__(
        self,
        store: Store,
        events: Events,
        *,
        drain_seconds: float = 30.0,
        pause: Pause = lambda failures: build_pause(failures, random.random()),  # noqa: S311
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        group: Peers | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._deadlines: dict[str, float] = {}
        self._stopping = False
        self.waiting = LinkWaiters()
        self._journal = Journal(store, events, group, stopping=self._is_stopping, clock=clock)
        context = StepContext(journal=self._journal, waiting=self.waiting, pause=pause, clock=clock)
        self._runner = Runner(store, self._journal, context, self._is_stopping)
        self._adoption = Adoption(store, self._journal, self._runner, group)

    def register(
        self, kind: str, handler: Handler, *, takes_turns: bool = True, deadline_seconds: float | None = None
    ) -> None:
        """Register what performs a kind, which is noun and verb.

        Operations of one noun on one target take turns, unless `takes_turns` is false. `deadline_seconds` is for those
        that are submitted without one; None: an hour.
        """
        self._runner.register(kind, handler, takes_turns=takes_turns)
        self._deadlines[kind] = deadline_seconds or DEADLINE_SECONDS

    async def __aenter__(self) -> Self:
        self._unsubscribe = self._journal.listen(self._on_cancel)
        await self._adoption.start()
        self._publishing = asyncio.create_task(self._journal.follow_progress(self._runner.lives))
        await self._runner.prune(keep=KEEP)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let what runs run on for the time to drain; what isn't done then is resumed by the next process."""
        self._stopping = self.waiting.over = True
        self._unsubscribe()
        self._journal.wake()
        self._publishing.cancel()
        await self._runner.drain(self._drain_seconds)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """Return the registered handlers, by kind."""
        return self._runner.handlers

    @property
    def running(self) -> int:
        """Return how many run here now."""
        return sum(live.operation.state == "running" for live in self._runner.lives())

    async def submit(self, ask: Ask, kind: str, target: str, input: dict[str, Any]) -> Operation:
        """Record it, and begin it when its turn comes; the `input` is JSON for its handler.

        With a key of `ask` that was used before, return the operation that it made. What isn't done by its deadline
        fails; without one in `ask` it is that of its kind.

        Raises `Conflict` where that one was asked for something else, `ServerUnavailable` while the server stops.
        """
        if kind not in self._runner.handlers:
            raise Unsupported(f"this server has no operation {kind}")
        if self._stopping or not self._journal.holding:
            why = "is stopping" if self._stopping else "has lost its database for a moment"
            raise ServerUnavailable(f"the server {why}", hint="Try again in a moment.")
        now = self._clock()
        operation = Operation(
            id=uuid.uuid4().hex,
            kind=kind,
            target=target,
            state="pending",
            actor=ask.actor,
            created_at=now,
            deadline=now + timedelta(seconds=ask.deadline_seconds or self._deadlines[kind]),
        )
        # its place in the line is taken before anything is awaited; a caller that goes away doesn't take it back
        live = self._runner.line_up(operation, msgspec.json.decode(msgspec.json.encode(input)))
        recorded = await asyncio.shield(self._runner.spawn(self._admit(live, ask.key)))
        if recorded.id == operation.id:
            return operation
        await self._journal.check_same(live, recorded, ask.key)
        return await self.get(recorded.id)

    async def known(self, key: str | None) -> bool:
        """Return whether an operation was submitted with that key; never for None."""
        return key is not None and await self._store.operations.by_key(key) is not None

    async def get(self, id: str) -> Operation:
        """Return the operation, with its progress. Raises `OperationNotFound`."""
        live = self._runner.get(id)
        if live:
            return live.operation
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
        """List them, the newest first."""
        page = await self._store.operations.list(state=state, target=target, kind=kind, limit=limit, cursor=cursor)
        return replace(page, items=[self._with_progress(operation) for operation in page.items])

    async def wait(self, id: str, timeout_seconds: float | None) -> Operation:
        """Return it once it is finished, or as it is after `timeout_seconds`; None: however long it takes.

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
        """Yield its state now, then at each change and as it gets on, until it is finished or the server stops.

        Raises `OperationNotFound`.
        """
        live = self._runner.get(id)
        if live:
            async for operation in live.snapshots():
                yield operation
            if live.operation.state in FINISHED or not self._journal.shared:
                return
        async for operation in self._journal.watch(id):
            yield operation

    async def cancel(self, id: str) -> Operation:
        """Cancel it: at once while pending; while running its step is stopped and it is undone, which takes a moment.

        One that is cancelled already stays so. Raises `OperationNotFound`, `WrongState` where it has ended otherwise.
        """
        live = self._runner.get(id)
        if live:
            return await self._cancel(live)
        operation = await self._store.operations.get(id)
        if operation.state in FINISHED or not self._journal.shared:
            return check_cancelled(operation)
        await self._store.operations.update(id, cancelling=True)
        await self._journal.publish_cancel(id)
        return operation

    async def _cancel(self, live: LiveOperation) -> Operation:
        async with live.transition:
            if live.operation.state in FINISHED:
                return check_cancelled(live.operation)
            if await self._cancelled_pending(live):
                return live.operation
            # kept, so that a crash in between doesn't make anyone forget it
            await self._store.operations.update(live.operation.id, cancelling=True)
            await self._journal.publish_cancel(live.operation.id)
            live.stop_step()
        return live.operation

    def _on_cancel(self, id: str | None) -> None:
        """Cancel the operation if it is held here. None: messages may have been missed, so that all are looked at."""
        for live in [self._runner.get(id)] if id else self._runner.lives():
            if live and not (live.cancelling or live.asking):
                live.asking = True
                self._runner.spawn(self._cancel_if_asked(live))

    async def _cancel_if_asked(self, live: LiveOperation) -> None:
        async def ask() -> bool:
            live.asking = False  # a request to cancel that comes from now on is read again
            try:
                return await self._store.operations.cancelling(live.operation.id)
            except StoreUnavailable:
                live.asking = True
                raise

        try:
            asked = await retry_while_store_is_down(ask, stopping=self._is_stopping)
        except StoreUnavailable:
            return  # the process that goes on with it reads it
        if asked:
            async with live.transition:
                if live.operation.state not in FINISHED and not await self._cancelled_pending(live):
                    live.stop_step()

    async def _cancelled_pending(self, live: LiveOperation) -> bool:
        """End it where it has not begun; False where it has. The caller holds its `transition`."""
        if live.operation.state != "pending":
            return False
        await self._runner.settle(live, "cancelled", build_problem(build_cancelled(live.operation)))
        return True

    async def prune(self, *, keep: int, before: datetime | None = None) -> int:
        """Forget finished ones but the `keep` newest, and those that finished before a time. Returns how many."""
        return await self._runner.prune(keep=keep, before=before)

    async def _admit(self, live: LiveOperation, key: str | None) -> Operation:
        try:
            recorded, created = await self._store.operations.add(
                live.operation, live.input, key, lane=live.lane, holder=self._journal.holder
            )
        except BaseException:
            self._runner.leave(live)
            raise
        if created:
            self._runner.begin(live)
        else:
            self._runner.leave(live)
        return recorded

    def _with_progress(self, operation: Operation) -> Operation:
        live = self._runner.get(operation.id)
        return live.operation if live else self._journal.with_progress(operation)

    def _is_stopping(self) -> bool:
        return self._stopping
