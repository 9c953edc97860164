"""The steps of an operation's handler.

A step's outcome is JSON in either case, a value or a problem, so that a replay after a crash does what was done before.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog

from vendetta.errors import Cancelled, VendettaError
from vendetta.models import Operation, Problem, Progress

from .durable import Durable, Json
from .patience import until_stored
from .runs import Run

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Steps:
    """What a handler gets: the operation as it was when this run of it began, and the way to run its steps."""

    def __init__(self, run: Run, durable: Durable, context: contextvars.Context) -> None:
        self.operation = run.operation
        self._run = run
        self._durable = durable
        self._context = context

    async def run(self, name: str, fn: Callable[[], Awaitable[T]], *, cleanup: bool = False) -> T:
        """What `fn` returns, as JSON would give it back; after a crash, what it returned before it.

        `fn` must be able to run twice: what a crash or a database that is away interrupts does. Raises what `fn`
        raises, by class and fields.
        Once the operation is being cancelled, a step that isn't `cleanup` is stopped, or never begun, and raises
        `Cancelled`.
        """
        outcome = await self._durable.step(name, lambda: self._attempt(fn, cleanup))
        if "problem" in outcome:
            raise msgspec.convert(outcome["problem"], Problem).to_error()
        value: T = outcome["value"]
        return value

    def progress(self, progress: Progress) -> None:
        """Tells those who watch. Not kept."""
        self._run.tell_progress(progress)

    async def _attempt(self, fn: Callable[[], Awaitable[T]], cleanup: bool) -> Json:
        run = self._run
        if run.cancelling and not cleanup:
            return build_problem(build_cancelled(run.operation))
        # in the server's own context: an operation that a step submits isn't a part of this one
        task: asyncio.Task[T] = asyncio.get_running_loop().create_task(until_stored(fn), context=self._context.copy())
        run.step = None if cleanup else task
        try:
            return {"value": msgspec.json.decode(msgspec.json.encode(await task))}
        except asyncio.CancelledError as exc:
            current = asyncio.current_task()
            if current and current.cancelling():
                # the server stops: nothing is recorded, the step runs again
                raise
            return build_problem(build_cancelled(run.operation) if run.cancelling else as_ours(exc, run.operation))
        except Exception as exc:
            return build_problem(as_ours(exc, run.operation))
        finally:
            run.step = None


def as_ours(error: BaseException, operation: Operation) -> VendettaError:
    """An error that we raised as it is; any other is logged, and what is left of it is where to look."""
    if isinstance(error, VendettaError):
        return error
    log.error("operation failed unexpectedly", operation=operation.id, kind=operation.kind, exc_info=error)
    return VendettaError(
        f"{operation.kind} {operation.target} failed for a reason that nobody thought of",
        hint=f"See what the server's log says of operation {operation.id}: vendetta server logs",
    )


def build_problem(error: VendettaError) -> Json:
    # details are meant to be JSON, but a step must have an outcome whatever they are
    encoded = msgspec.json.encode(Problem.from_error(error), enc_hook=str)
    return {"problem": msgspec.json.decode(encoded)}


def build_cancelled(operation: Operation) -> Cancelled:
    return Cancelled(f"{operation.kind} {operation.target} was cancelled", operation=operation.id)
