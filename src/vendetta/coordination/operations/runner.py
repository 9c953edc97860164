"""Perform the operations that this process holds: from the place in the line through the handler to the end.

The only owner of what is live here: of the lanes, the handlers and the tasks.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import Unsupported
from vendetta.models import FINISHED, Operation, OperationState, Problem
from vendetta.store import Outcome, Store, StoreUnavailable
from vendetta.tasks import cancel_and_wait

from .failures import build_late
from .journal import Journal
from .lanes import Lanes, LiveOperation
from .steps import StepContext, Steps, as_ours, build_problem, build_state

log = structlog.get_logger(__name__)

Handler = Callable[[Steps, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Does an operation, in steps, from its input; returns its result. Both are JSON.

It decides on nothing but its input and what its steps returned or raised, so that it can be replayed.
"""

DEADLINE_SECONDS = 3600.0
PRUNE_EVERY = 500
KEEP = 10_000
"""How many finished operations are kept, with the outcomes of their steps."""


class Runner:
    def __init__(self, store: Store, journal: Journal, context: StepContext, is_stopping: Callable[[], bool]) -> None:
        self._store = store
        self._journal = journal
        self._context = context
        self.handlers: dict[str, Handler] = {}
        self._lanes = Lanes()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = contextvars.copy_context()
        self._finished = 0
        self.is_stopping = is_stopping

    def register(self, kind: str, handler: Handler, *, takes_turns: bool) -> None:
        self.handlers[kind] = handler
        if not takes_turns:
            self._lanes.side_by_side.add(kind)

    def lives(self) -> Iterator[LiveOperation]:
        """Iterate over what is live here, admitted or about to be."""
        return iter(self._lanes)

    def get(self, id: str) -> LiveOperation | None:
        """Return it if it has been admitted here and isn't over."""
        live = self._lanes.get(id)
        return live if live and live.life else None

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run it as a task that `drain` waits for."""
        # in the server's own context: what is bound for whoever submits, such as a request, isn't meant for it
        task = asyncio.get_running_loop().create_task(coroutine, context=self._server.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def line_up(self, operation: Operation, input: dict[str, Any]) -> LiveOperation:
        """Give it a place in the line of its lane, and a deadline where an older program gave it none."""
        now = self._context.clock()
        deadline = operation.deadline or now + timedelta(seconds=DEADLINE_SECONDS)
        expires = asyncio.get_running_loop().time() + (deadline - now).total_seconds()
        return self._lanes.line_up(replace(operation, deadline=deadline), input, expires)

    def leave(self, live: LiveOperation) -> None:
        """Take it out of the line."""
        self._lanes.leave(live)

    def begin(self, live: LiveOperation) -> None:
        """Perform it from now on, unless the server stops."""
        if self.is_stopping():
            self.leave(live)
        else:
            live.life = self.spawn(self._live(live))

    async def settle(self, live: LiveOperation, state: OperationState, outcome: Outcome) -> None:
        """Write how it ended, unless another process holds it by now. The caller holds its `transition`."""
        problem = msgspec.convert(outcome["problem"], Problem) if "problem" in outcome else None
        finished = await self._journal.finish(
            live,
            state=state,
            finished_at=self._context.clock(),
            result=outcome.get("value"),
            error=problem,
            history=live.operation.history,
        )
        if finished is None:
            log.warning("operation is held by another replica", operation=live.operation.id)
            return
        live.publish(finished)
        self._finished += 1
        if self._finished % PRUNE_EVERY == 0:
            await self.prune(keep=KEEP)

    async def prune(self, *, keep: int, before: datetime | None = None) -> int:
        """Forget finished ones but the `keep` newest, and those that finished before a time. Returns how many."""
        return len(await self._store.operations.prune(keep=keep, before=before))

    async def perform(self, live: LiveOperation) -> Outcome:
        """Return what comes of its handler, which is called again where it could not read the database for a moment.

        Raises `StoreUnavailable` once the server stops.
        """
        nothing_yet = live.operation.attempts == 1

        async def attempt() -> dict[str, Any]:
            nonlocal nothing_yet
            handler = self.handlers.get(live.operation.kind)
            if handler is None:
                raise Unsupported(f"this server has no operation {live.operation.kind}")
            recorded = {} if nothing_yet else await self._journal.load_steps(live)
            nothing_yet = False
            return await handler(Steps(live, self._context, recorded), live.input)

        try:
            result = await retry_while_store_is_down(attempt, stopping=self.is_stopping)
            return {"value": msgspec.json.decode(msgspec.json.encode(result))}
        except StoreUnavailable:
            raise
        except Exception as exc:
            return build_problem(as_ours(exc, live.operation))

    async def drain(self, seconds: float) -> None:
        """Let what runs run on for `seconds`; what isn't done then is gone on with by the next process."""
        for live in self.lives():
            live.interrupt_pause()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=seconds)
        finally:
            await cancel_and_wait(*self._tasks)

    async def _live(self, live: LiveOperation) -> None:
        """Perform it when its turn comes, and write how it ended."""
        try:
            if not await self._wait_for_turn(live):
                return
            outcome = await self.perform(live)
            async with live.transition:
                await self.settle(live, build_state(outcome), outcome)
        except Exception:
            # the store failed: the row says that it isn't finished, so the next process goes on with it
            log.exception("operation left unfinished", operation=live.operation.id)
        finally:
            self.leave(live)

    async def _wait_for_turn(self, live: LiveOperation) -> bool:
        """Return once it runs; False where it has ended before, or isn't held here any more."""
        try:
            async with asyncio.timeout_at(live.expires if live.operation.state == "pending" else None):
                # among several processes the database says whose turn it is
                if not self._journal.shared:
                    await live.first_in_line()
                return await self._journal.begin(live)
        except TimeoutError:
            await self._expire(live)
            return False

    async def _expire(self, live: LiveOperation) -> None:
        """End it as late. It keeps its place: what comes after it still comes after the rest."""
        async with live.transition:
            if live.operation.state not in FINISHED:
                late = build_late(live.operation, "waiting for its turn behind another operation")
                await self.settle(live, "failed", build_problem(late))
        await live.first_in_line()
