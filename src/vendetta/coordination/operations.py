"""Operations: what changes something, recorded before it begins, done in steps, and brought to its end after a crash.

The row in the store is the truth that users see; the outcomes of steps are kept by `durable`. Operations on one target
run one after another, in the order in which they were asked for; those on different targets side by side.
"""

import asyncio
import contextvars
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from vendetta.errors import ServerUnavailable, Unsupported, VendettaError
from vendetta.models import FINISHED, Operation, OperationState, Problem
from vendetta.ssh.breaker import build_pause
from vendetta.store import Page, Store

from .attempts import Pause, build_late
from .durable import Durable, Json, build_location
from .events import Events
from .records import Group, Records, check_cancelled
from .runs import Run, Runs
from .steps import Steps, Surroundings, as_ours, build_cancelled, build_problem, build_state
from .takeover import Takeover
from .waiting import Waiting

__all__ = ["Handler", "Operations", "Steps"]

log = structlog.get_logger(__name__)

Handler = Callable[[Steps, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Does an operation, in steps, from its input; returns its result. Both are JSON.

It decides on nothing but its input and what its steps returned or raised, so that it can be replayed.
"""

DEADLINE_SECONDS = 3600.0
LONG_SECONDS = 86400.0
"""For what moves whole workspaces."""
KEEP = 10_000
PRUNE_EVERY = 500


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
        group: Group | None = None,
    ) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._drain_seconds = drain_seconds
        self._keep = keep
        self._handlers: dict[str, Handler] = {}
        self._runs = Runs()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = contextvars.copy_context()
        self._records = Records(store, events, group, stopping=lambda: self._stopping, clock=clock)
        self._durable = Durable(build_location(store.location), self._records.holder, self._perform)
        self._takeover = Takeover(
            store=store,
            records=self._records,
            runs=self._runs,
            durable=self._durable,
            group=group,
            line_up=self._line_up,
            live=self._start,
            spawn=self._spawn,
        )
        self.waiting = Waiting()
        self._around = Surroundings(
            durable=self._durable,
            waiting=self.waiting,
            pause=pause,
            clock=clock,
            keep=self._records.keep_history,
            holding=lambda: self._records.holding,
            context=self._context,
        )
        self._finished = 0
        self._stopping = False

    def register(self, kind: str, handler: Handler, *, takes_turns: bool = True) -> None:
        """`kind` is noun and verb: operations of one noun on one target take turns, unless told otherwise."""
        self._handlers[kind] = handler
        if not takes_turns:
            self._runs.side_by_side.add(kind)

    async def __aenter__(self) -> Self:
        self._deafen = self._records.listen(self._hear_cancel)
        # known before the first workflow is resumed, which happens on entering
        gone = await self._takeover.prepare()
        await self._durable.__aenter__()
        await self._takeover.begin(gone)
        self._telling = asyncio.create_task(self._records.follow_progress(self._runs))
        await self.prune(keep=self._keep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What runs may run on for the time to drain; what isn't done then is resumed by the next process."""
        self._stopping = self.waiting.over = True
        self._deafen()
        self._records.wake()
        self._telling.cancel()
        for run in self._runs:
            run.interrupt_pause()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=self._drain_seconds)
        finally:
            bodies = [run.body for run in self._runs if run.body]
            for task in (*bodies, *self._tasks):
                task.cancel()
            await asyncio.gather(*bodies, *self._tasks, return_exceptions=True)
            await self._durable.__aexit__(kind, error, trace)

    @property
    def running(self) -> int:
        return sum(run.operation.state == "running" for run in self._runs)

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

        What isn't done within `deadline_seconds` (an hour) from now fails.

        Raises `Conflict` where that one was asked for something else, `ServerUnavailable` while the server stops.
        """
        if kind not in self._handlers:
            raise Unsupported(f"this server has no operation {kind}")
        if self._stopping or not self._records.holding:
            why = "is stopping" if self._stopping else "has lost its database for a moment"
            raise ServerUnavailable(f"the server {why}", hint="Try again in a moment.")
        now = self._clock()
        operation = Operation(
            id=uuid.uuid4().hex,
            kind=kind,
            target=target,
            state="pending",
            actor=actor,
            created_at=now,
            deadline=now + timedelta(seconds=deadline_seconds or DEADLINE_SECONDS),
        )
        # its place in the line is taken before anything is awaited; a caller that goes away doesn't take it back
        run = self._line_up(operation, msgspec.json.decode(msgspec.json.encode(input)))
        recorded = await asyncio.shield(self._spawn(self._admit(run, key)))
        if recorded.id == operation.id:
            return operation
        await self._records.check_same(run, recorded, key)
        return await self.get(recorded.id)

    async def known(self, key: str | None) -> bool:
        """Whether an operation was submitted with that key."""
        return key is not None and await self._store.operations.by_key(key) is not None

    async def get(self, id: str) -> Operation:
        """Raises `OperationNotFound`."""
        run = self._runs.get(id)
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
        run = self._runs.get(id)
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
        run = self._runs.get(id)
        if run and run.life:
            return await self._cancel(run)
        operation = await self._store.operations.get(id)
        if operation.state in FINISHED or not self._records.shared:
            return check_cancelled(operation)
        await self._store.operations.update(id, cancelling=True)
        await self._records.tell_cancel(id)
        return operation

    async def _cancel(self, run: Run) -> Operation:
        async with run.transition:
            if run.operation.state in FINISHED:
                return check_cancelled(run.operation)
            if run.operation.state == "pending":
                await self._settle(run, "cancelled", build_problem(build_cancelled(run.operation)))
                return run.operation
            # kept, so that a crash in between doesn't make anyone forget it
            await self._store.operations.update(run.operation.id, cancelling=True)
            await self._records.tell_cancel(run.operation.id)
            run.stop_step()
        return run.operation

    def _hear_cancel(self, id: str | None) -> None:
        """By whichever process it was asked for; None: some may have been missed."""
        for run in [self._runs.get(id)] if id else self._runs:
            if run and not run.cancelling:
                self._spawn(self._cancel_if_asked(run))

    async def _cancel_if_asked(self, run: Run) -> None:
        if not await self._store.operations.cancelling(run.operation.id):
            return
        async with run.transition:
            if run.operation.state == "pending":
                await self._settle(run, "cancelled", build_problem(build_cancelled(run.operation)))
            elif run.operation.state not in FINISHED:
                run.stop_step()

    async def prune(self, *, keep: int, before: datetime | None = None) -> int:
        """Forgets finished operations but the newest, and those that finished before a time. Returns how many."""
        ids = await self._store.operations.prune(keep=keep, before=before)
        if ids:
            await self._durable.forget(ids)
        return len(ids)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        # in the server's own context: who submits may itself be a step
        task = asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _line_up(self, operation: Operation, input: dict[str, Any]) -> Run:
        now = self._clock()
        # one of an older program has none
        deadline = operation.deadline or now + timedelta(seconds=DEADLINE_SECONDS)
        expires = asyncio.get_running_loop().time() + (deadline - now).total_seconds()
        return self._runs.line_up(replace(operation, deadline=deadline), input, expires)

    async def _admit(self, run: Run, key: str | None) -> Operation:
        try:
            recorded, created = await self._store.operations.add(
                run.operation, run.input, key, lane=run.lane, holder=self._records.holder
            )
        except BaseException:
            self._runs.leave(run)
            raise
        if created:
            self._start(run)
        else:
            self._runs.leave(run)
        return recorded

    def _start(self, run: Run) -> None:
        if not self._stopping:
            run.life = self._spawn(self._live(run))

    async def _live(self, run: Run) -> None:
        """From its place in the line to its end."""
        try:
            try:
                async with asyncio.timeout_at(run.expires if run.operation.state == "pending" else None):
                    # among several processes the database says whose turn it is
                    if not self._records.shared:
                        await run.first_in_line()
                    if not await self._records.begin(run):
                        return
            except TimeoutError:
                await self._expire(run)
                return
            run.turn.set()
            try:
                outcome = await self._durable.execute(run.operation.id, resumed=run.operation.attempts > 1)
            except Exception as exc:
                outcome = build_problem(as_ours(exc, run.operation))
            async with run.transition:
                await self._settle(run, build_state(outcome), outcome)
        except Exception:
            # the store failed: the row says that it isn't finished, so the next process goes on with it
            log.exception("operation left unfinished", operation=run.operation.id)
        finally:
            self._runs.leave(run)

    async def _expire(self, run: Run) -> None:
        """Its turn has not come by its deadline. It keeps its place: what comes after it still comes after the rest."""
        async with run.transition:
            if run.operation.state not in FINISHED:
                late = build_late(run.operation, "waiting for its turn behind another operation")
                await self._settle(run, "failed", build_problem(late))
        await run.first_in_line()

    async def _perform(self, id: str) -> Json:
        """One run of the handler. The durable side may call before the turn has come, after a crash: it waits."""
        run = self._runs.get(id)
        if run is None and self._stopping:
            # left for the next process: an outcome would be recorded
            raise asyncio.CancelledError
        if run is None and self._records.shared:
            run = await self._takeover.join(id)
        if run is None:
            return build_problem(VendettaError(f"operation {id} is not known any more"))
        run.body = asyncio.current_task()
        try:
            await run.turn.wait()
            handler = self._handlers.get(run.operation.kind)
            if handler is None:
                raise Unsupported(f"this server has no operation {run.operation.kind}")
            result = await handler(Steps(run, self._around), run.input)
            return {"value": msgspec.json.decode(msgspec.json.encode(result))}
        except Exception as exc:
            return build_problem(as_ours(exc, run.operation))
        finally:
            if run.life is None:
                self._runs.leave(run)

    async def _settle(self, run: Run, state: OperationState, outcome: Json) -> None:
        problem = msgspec.convert(outcome["problem"], Problem) if "problem" in outcome else None
        finished = await self._records.finish(
            run,
            state=state,
            finished_at=self._clock(),
            result=outcome.get("value"),
            error=problem,
            history=run.operation.history,
        )
        if finished is None:
            log.warning("operation is held by another replica", operation=run.operation.id)
            return
        run.tell(finished)
        self._finished += 1
        if self._finished % PRUNE_EVERY == 0:
            await self.prune(keep=self._keep)

    def _with_progress(self, operation: Operation) -> Operation:
        run = self._runs.get(operation.id)
        return run.operation if run and run.life else self._records.with_progress(operation)
