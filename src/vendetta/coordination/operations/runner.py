"""Each operation as this process lives it: from its place in the line through its turn and its handler to its end."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from vendetta.errors import Unsupported, VendettaError
from vendetta.models import FINISHED, Operation, OperationState, Problem
from vendetta.store import Store
from vendetta.tasks import cancel_and_wait

from .checkpoints import Durable, Json, build_location
from .journal import Journal
from .lanes import Lanes, LiveOperation
from .link_waiters import LinkWaiters
from .retry_rules import Pause, build_late
from .steps import StepContext, Steps, as_ours, build_problem, build_state

log = structlog.get_logger(__name__)

Handler = Callable[[Steps, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Does an operation, in steps, from its input; returns its result. Both are JSON.

It decides on nothing but its input and what its steps returned or raised, so that it can be replayed.
"""

DEADLINE_SECONDS = 3600.0
PRUNE_EVERY = 500


class Runner:
    """`join` makes a run of what another process holds, but this one is to perform; None where it has ended."""

    def __init__(
        self,
        store: Store,
        records: Journal,
        *,
        join: Callable[[str], Awaitable[LiveOperation | None]],
        waiting: LinkWaiters,
        pause: Pause,
        clock: Callable[[], datetime],
        keep: int,
    ) -> None:
        self._store = store
        self._records = records
        self._join = join
        self._clock = clock
        self._keep = keep
        self._tasks: set[asyncio.Task[Any]] = set()
        self._context = contextvars.copy_context()
        self._finished = 0
        self.handlers: dict[str, Handler] = {}
        self.runs = Lanes()
        self.stopping = False
        self.durable = Durable(build_location(store.location), records.holder, self._perform)
        self._around = StepContext(
            durable=self.durable,
            waiting=waiting,
            pause=pause,
            clock=clock,
            keep=records.keep_history,
            holding=lambda: records.holding,
            held=records.held,
            context=self._context,
        )

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        # in the server's own context: who submits may itself be a step
        task = asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def line_up(self, operation: Operation, input: dict[str, Any]) -> LiveOperation:
        now = self._clock()
        # one of an older program has none
        deadline = operation.deadline or now + timedelta(seconds=DEADLINE_SECONDS)
        expires = asyncio.get_running_loop().time() + (deadline - now).total_seconds()
        return self.runs.line_up(replace(operation, deadline=deadline), input, expires)

    def begin(self, run: LiveOperation) -> None:
        if not self.stopping:
            run.life = self.spawn(self._live(run))

    async def settle(self, run: LiveOperation, state: OperationState, outcome: Json) -> None:
        """How it ended, unless another process holds it by now."""
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
            await self.prune(self._keep)

    async def prune(self, keep: int, before: datetime | None = None) -> int:
        """Forgets finished ones but the newest, and those that finished before a time. Returns how many."""
        ids = await self._store.operations.prune(keep=keep, before=before)
        if ids:
            await self.durable.forget(ids)
        return len(ids)

    async def end(self, drain_seconds: float) -> None:
        """What runs may run on for so long; what isn't done then is resumed by the next process."""
        for run in self.runs:
            run.interrupt_pause()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=drain_seconds)
        finally:
            bodies = [run.body for run in self.runs if run.body]
            await cancel_and_wait(*bodies, *self._tasks)

    async def _live(self, run: LiveOperation) -> None:
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
                outcome = await self.durable.execute(run.operation.id, resumed=run.operation.attempts > 1)
            except Exception as exc:
                outcome = build_problem(as_ours(exc, run.operation))
            async with run.transition:
                await self.settle(run, build_state(outcome), outcome)
        except Exception:
            # the store failed: the row says that it isn't finished, so the next process goes on with it
            log.exception("operation left unfinished", operation=run.operation.id)
        finally:
            self.runs.leave(run)

    async def _expire(self, run: LiveOperation) -> None:
        """Its turn has not come by its deadline. It keeps its place: what comes after it still comes after the rest."""
        async with run.transition:
            if run.operation.state not in FINISHED:
                late = build_late(run.operation, "waiting for its turn behind another operation")
                await self.settle(run, "failed", build_problem(late))
        await run.first_in_line()

    async def _perform(self, id: str) -> Json:
        """One run of the handler. The durable side may call before the turn has come, after a crash: it waits."""
        run = self.runs.get(id)
        if run is None and self.stopping:
            # left for the next process: an outcome would be recorded
            raise asyncio.CancelledError
        if run is None and self._records.shared:
            run = await self._join(id)
        if run is None:
            return build_problem(VendettaError(f"operation {id} is not known any more"))
        run.body = asyncio.current_task()
        try:
            await run.turn.wait()
            handler = self.handlers.get(run.operation.kind)
            if handler is None:
                raise Unsupported(f"this server has no operation {run.operation.kind}")
            result = await handler(Steps(run, self._around), run.input)
            return {"value": msgspec.json.decode(msgspec.json.encode(result))}
        except Exception as exc:
            return build_problem(as_ours(exc, run.operation))
        finally:
            if run.life is None:
                self.runs.leave(run)
