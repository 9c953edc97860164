"""The steps of an operation's handler.

A step's outcome is JSON in either case, a value or a problem. It is written under the operation's lease before the
handler goes on, so that after a crash, here or at another server, the handler is called again and each step that has an
outcome gives that. What a failed try of a step means is said in `retry_rules`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import msgspec
import structlog

from vendetta.coordination.retry_rules import RETRIES, Pause, is_unknown, pause_after
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import Cancelled, VendettaError
from vendetta.models import LONGEST_HISTORY, Attempt, Operation, OperationState, Problem, Progress
from vendetta.store import LeaseLost, Outcome, StoreUnavailable, Transaction, number_step

from .failures import build_late, build_unknown, build_waiting, describe_wait
from .journal import Journal
from .lanes import LiveOperation
from .link_waiters import LinkWaiters, pause

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Hold what the steps of all operations of a process share."""

    journal: Journal
    waiting: LinkWaiters
    pause: Pause
    clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Say how a step is performed. `once`: not twice. `then`, called once it is done, gives the value in its place."""

    cleanup: bool = False
    retries: int = RETRIES
    once: bool = False
    look: str | None = None
    then: Callable[[], Awaitable[Any]] | None = None


class Steps:
    """Run the steps of a handler. `operation` is as it was when this run of the handler began."""

    def __init__(self, run: LiveOperation, around: StepContext, recorded: Mapping[str, Outcome | None]) -> None:
        self.operation = run.operation
        self.held = around.journal.held(run.operation.id)
        """What a step writes is fenced with it: another process may have gone on with the operation meanwhile."""
        self._run = run
        self._around = around
        self._recorded = recorded
        self._named: Counter[str] = Counter()
        self._attempt: _Attempt | None = None
        self._written: Outcome | None = None

    async def run(
        self, name: str, fn: Callable[[], Awaitable[T]], *, cleanup: bool = False, retries: int = RETRIES
    ) -> T:
        """Run a step. Returns what `fn` returns, as JSON would give it back; after a crash, what it returned before.

        `fn` must be able to run twice: what a crash or a database that is away interrupts does, and what a lost link
        interrupts is tried again until the operation's deadline. Raises what `fn` raises, by class and fields, and
        `DeadlineExceeded` past the deadline. Once the operation is being cancelled, a step that isn't `cleanup` is
        stopped, or never begun, and raises `Cancelled`. A `cleanup` step is tried once, whatever the time.
        """
        value: T = await self._outcome(name, fn, _Rule(cleanup=cleanup, retries=retries))
        return value

    async def run_then(
        self, name: str, fn: Callable[[], Awaitable[None]], then: Callable[[], Awaitable[T]]
    ) -> T | None:
        """Run a step as `run` does, and return what `then` returns after it, in the same step.

        None where `then` fails or is cancelled. So what is read once it is done is no step of its own, unless there is
        trouble.
        """

        async def look() -> T | None:
            try:
                return await then()
            except asyncio.CancelledError:
                if not self._run.cancelling:
                    raise
            except LeaseLost:
                raise
            except Exception as exc:
                as_ours(exc, self.operation)
            return None

        seen: T | None = await self._outcome(name, fn, _Rule(then=look))
        return seen

    async def run_once(self, name: str, fn: Callable[[], Awaitable[T]], *, look: str | None = None) -> T:
        """Run a step that must not run twice, else as `run`. Raises `OutcomeUnknown` where nobody knows whether it did.

        `look` is the hint of that: where to see what came of it.
        """
        value: T = await self._outcome(name, fn, _Rule(once=True, look=look))
        return value

    async def record(self, state: Transaction, value: Any) -> None:
        """Write that the step that runs is done, and what it returns, in the transaction of what it has written.

        So the one is there with the other or neither is, and the outcome costs no transaction of its own. It is for the
        last transaction of a step, which then returns the same value: another one is written in its place.
        """
        if self._attempt is None:
            raise RuntimeError("there is no step to record")
        self._attempt.ended()
        self._written = build_outcome(value, self._attempt.history)
        await state.steps.keep(self.held, self._attempt.step, self._written)

    def progress(self, progress: Progress) -> None:
        """Pass on how far it is to those who watch. It isn't kept."""
        self._run.publish_progress(progress)

    async def _outcome(self, name: str, fn: Callable[[], Awaitable[Any]], rule: _Rule) -> Any:
        self._named[name] += 1
        # in a replay it is as often and in the same order, so that the number tells one from the other
        name = number_step(name, self._named[name])
        outcome = self._recorded.get(name) or await self._perform(name, fn, rule)
        self._remember(msgspec.convert(outcome.get("history", []), list[Attempt]))
        if "problem" in outcome:
            raise msgspec.convert(outcome["problem"], Problem).to_error()
        return outcome["value"]

    async def _perform(self, name: str, fn: Callable[[], Awaitable[Any]], rule: _Rule) -> Outcome:
        """Do the step, and write down what came of it."""
        run = self._run
        self._written = None
        try:
            if not self._around.journal.holding:
                await self._leave()
            outcome = self._refuse(name, rule)
            if outcome is None:
                if rule.once:
                    # where this is found by a later process, the step may have been done in this one
                    await self._around.journal.keep_step(run.operation.id, name, None, once=True)
                outcome = await self._finish(name, fn, rule)
            if outcome != self._written:
                await self._around.journal.keep_step(run.operation.id, name, outcome, once=rule.once)
        except (LeaseLost, StoreUnavailable):
            # lost, or the server stops before its database is back: nothing is known here of how it goes on, least of
            # all that it failed
            await self._leave()
            raise
        return outcome

    def _refuse(self, name: str, rule: _Rule) -> Outcome | None:
        """Return the problem for which it isn't begun any more; None where it may be."""
        run = self._run
        if run.cancelling and not rule.cleanup:
            return build_problem(build_cancelled(run.operation))
        if not rule.cleanup and asyncio.get_running_loop().time() >= run.expires:
            return build_problem(build_late(run.operation, None))
        if name in self._recorded:  # without an outcome: it had begun
            return build_problem(build_unknown(run.operation, name, "the server ended", rule.look))
        return None

    async def _finish(self, name: str, fn: Callable[[], Awaitable[Any]], rule: _Rule) -> Outcome:
        run, current = self._run, asyncio.current_task()
        history: list[Attempt] = []
        # a task of its own, which a cancel of the operation ends while the handler goes on to clean up
        task = asyncio.create_task(self._do(name, fn, rule, history))
        run.step = None if rule.cleanup else task
        try:
            value = await task
            if current and current.cancelling():
                raise asyncio.CancelledError
            return build_outcome(value, history)
        except LeaseLost:
            raise
        except (asyncio.CancelledError, Exception) as exc:
            if current and current.cancelling():
                # the server stops: nothing is recorded, the step runs again
                raise asyncio.CancelledError from exc
            stopped = isinstance(exc, asyncio.CancelledError) and run.cancelling
            problem = build_problem(build_cancelled(run.operation) if stopped else as_ours(exc, run.operation))
            return {**problem, "history": msgspec.to_builtins(history)}
        finally:
            run.step = None

    async def _leave(self) -> None:
        """Stop here: another process does this step, and what comes after it, or this one does later."""
        self._run.abandon()
        await asyncio.Event().wait()

    async def _do(self, name: str, fn: Callable[[], Awaitable[Any]], rule: _Rule, history: list[Attempt]) -> Any:
        value = await self._try(name, fn, rule, history)
        return await rule.then() if rule.then else value

    async def _try(self, name: str, fn: Callable[[], Awaitable[T]], rule: _Rule, history: list[Attempt]) -> T:
        """Call `fn` until it is done, or not worth another try, or the deadline is over."""
        waited_for: str | None = None

        async def act() -> T:
            self._written = None  # of a transaction that came to nothing
            return await fn()

        try:
            async with asyncio.timeout_at(None if rule.cleanup else self._run.expires) as limit:
                for number in count(1):
                    attempt = self._attempt = _Attempt(name, number, self._around.clock, history)
                    try:
                        value = await (act() if rule.once else retry_while_store_is_down(act))
                    except asyncio.CancelledError:
                        attempt.ended("cancelled" if self._run.cancelling else "interrupted")
                        raise
                    except LeaseLost:
                        raise
                    except Exception as exc:
                        error = as_ours(exc, self.operation)
                        seconds = self._pause(error, number, rule)
                        attempt.ended(error.code, error.message, seconds)
                        if seconds is None:
                            if rule.once and is_unknown(error):
                                error = build_unknown(self.operation, name, error.message, rule.look)
                            raise error from exc
                        waited_for = await self._wait(error, seconds, history)
                    else:
                        attempt.ended()
                        return value
            raise AssertionError("unreachable")  # pragma: no cover - the loop has no end of its own
        except (TimeoutError, Cancelled) as exc:
            if not limit.expired():
                raise
            left = exc.details.get("left") if isinstance(exc, Cancelled) else None
            raise build_late(self._run.operation, waited_for, left) from exc

    def _pause(self, error: VendettaError, number: int, rule: _Rule) -> float | None:
        if rule.cleanup:
            return None
        return pause_after(error, number, once=rule.once, retries=rule.retries, pause=self._around.pause)

    async def _wait(self, error: VendettaError, seconds: float, history: list[Attempt]) -> str:
        """Wait for the node, or for `seconds`. Returns what was waited for."""
        run, around = self._run, self._around
        waiting = build_waiting(error, run.operation.deadline)
        back = around.waiting.expect(waiting.waiting_for)
        self._remember(history)
        run.publish_progress(waiting)
        try:
            await around.journal.keep_history(run.operation)
        except Exception:
            # it is shown all the same; the next failure is written down, or the end
            log.exception("history not written", operation=run.operation.id)
        run.pausing = True
        if around.waiting.over:
            run.interrupt_pause()
        try:
            await pause(seconds, back)
        finally:
            run.pausing = False
        run.publish_progress(Progress(message="trying again"))
        return describe_wait(error)

    def _remember(self, attempts: Iterable[Attempt]) -> None:
        run = self._run
        known = run.operation.history
        new = [attempt for attempt in attempts if attempt not in known]
        if new:
            merged = sorted([*known, *new], key=lambda attempt: attempt.started_at)
            run.operation = replace(run.operation, history=merged[-LONGEST_HISTORY:])


class _Attempt:
    """Time an attempt that has begun. `history` is of all attempts of its step that have ended."""

    def __init__(self, step: str, number: int, clock: Callable[[], datetime], history: list[Attempt]) -> None:
        self.step = step
        self.history = history
        self._number = number
        self._clock = clock
        self._started_at = clock()
        self._before = tuple(history)
        self._done = False

    def ended(self, code: str | None = None, error: str | None = None, next_in: float | None = None) -> None:
        """Record how it ended; `code` None: well. Said so twice, the first counts: it may be written already."""
        if self._done and code is None:
            return
        self._done = code is None
        now = self._clock()
        attempt = Attempt(
            step=self.step,
            number=self._number,
            started_at=self._started_at,
            ended_at=now,
            code=code,
            error=error,
            next_try_at=None if next_in is None else now + timedelta(seconds=next_in),
        )
        self.history[:] = [*self._before, attempt][-LONGEST_HISTORY:]


def as_ours(error: BaseException, operation: Operation) -> VendettaError:
    """Return an error that we raised as it is; log any other, and return one whose hint is to look at the log."""
    if isinstance(error, VendettaError):
        return error
    log.error("operation failed unexpectedly", operation=operation.id, kind=operation.kind, exc_info=error)
    return VendettaError(
        f"{operation.kind} {operation.target} failed for a reason that nobody thought of",
        hint=f"See what the server's log says of operation {operation.id}: vendetta server logs",
    )


def build_outcome(value: Any, history: Sequence[Attempt]) -> Outcome:
    """Build the outcome of a step that returned `value`. Raises `TypeError` for a value that is no JSON."""
    return {"value": msgspec.json.decode(msgspec.json.encode(value)), "history": msgspec.to_builtins(history)}


def build_problem(error: VendettaError) -> Outcome:
    # details are meant to be JSON, but a step must have an outcome whatever they are
    """Build the outcome of a step that failed."""
    encoded = msgspec.json.encode(Problem.from_error(error), enc_hook=str)
    return {"problem": msgspec.json.decode(encoded)}


def build_state(outcome: Outcome) -> OperationState:
    """Return the state of an operation whose handler had that outcome: succeeded, cancelled or failed."""
    if "problem" not in outcome:
        return "succeeded"
    return "cancelled" if outcome["problem"]["code"] == "cancelled" else "failed"


def build_cancelled(operation: Operation) -> Cancelled:
    """Build the error of an operation that was cancelled."""
    return Cancelled(f"{operation.kind} {operation.target} was cancelled", operation=operation.id)
