"""A run of one operation: its state for those who watch, its place in the line, and the steps of its handler.

A step's outcome is JSON in either case, a value or a problem, so that a replay after a crash does what was done before.
"""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec
import structlog

from vendetta.errors import Cancelled, VendettaError
from vendetta.models import FINISHED, Operation, Problem, Progress

from .durable import Durable, Json

T = TypeVar("T")
log = structlog.get_logger(__name__)

TELL_EVERY_SECONDS = 0.1
"""How often watchers hear of progress, at most."""


@dataclass(kw_only=True)
class Run:
    """What this process knows of an operation that isn't finished. `operation` is its newest snapshot."""

    operation: Operation
    input: dict[str, Any]
    after: "Run | None" = None
    """The one before it on the same target."""

    turn: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    transition: asyncio.Lock = field(default_factory=asyncio.Lock)
    cancelling: bool = False
    step: asyncio.Task[Any] | None = None
    body: asyncio.Task[Any] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _told_at: float = 0.0
    _telling: asyncio.TimerHandle | None = None

    def tell(self, operation: Operation) -> None:
        """Everyone who watches hears of this state now."""
        self.operation = operation
        self._wake()

    def tell_progress(self, progress: Progress) -> None:
        """Now, or soon where they heard of something a moment ago; the newest then."""
        self.operation = replace(self.operation, progress=progress)
        wait = self._told_at + TELL_EVERY_SECONDS - time.monotonic()
        if wait <= 0:
            self._wake()
        elif self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(wait, self._wake)

    def end(self) -> None:
        """This process is done with it, finished or not: whoever is next in line may go on."""
        self.over.set()
        self._wake()

    async def snapshots(self) -> AsyncIterator[Operation]:
        """The state now, then each newer one, until it is finished or this process is done with it."""
        seen = None
        while True:
            changed = self._changed
            if self.operation is not seen:
                seen = self.operation
                yield seen
            elif self.over.is_set():
                return
            else:
                await changed.wait()
            if seen is not None and seen.state in FINISHED:
                return

    def _wake(self) -> None:
        if self._telling:
            self._telling.cancel()
            self._telling = None
        self._told_at = time.monotonic()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Steps:
    """What a handler gets: the operation as it was when this run of it began, and the way to run its steps."""

    def __init__(self, run: Run, durable: Durable, context: contextvars.Context) -> None:
        self.operation = run.operation
        self._run = run
        self._durable = durable
        self._context = context

    async def run(self, name: str, fn: Callable[[], Awaitable[T]], *, cleanup: bool = False) -> T:
        """What `fn` returns, as JSON would give it back; after a crash, what it returned before it.

        `fn` must be able to run twice: what a crash interrupts does. Raises what `fn` raises, by class and fields.
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
        task: asyncio.Task[T] = asyncio.get_running_loop().create_task(_await(fn), context=self._context.copy())
        run.step = None if cleanup else task
        try:
            return {"value": msgspec.json.decode(msgspec.json.encode(await task))}
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current and current.cancelling():
                # the server stops: nothing is recorded, the step runs again
                raise
            return build_problem(build_cancelled(run.operation))
        except Exception as exc:
            return build_problem(as_ours(exc, run.operation))
        finally:
            run.step = None


async def _await(fn: Callable[[], Awaitable[T]]) -> T:
    return await fn()


def as_ours(error: Exception, operation: Operation) -> VendettaError:
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
