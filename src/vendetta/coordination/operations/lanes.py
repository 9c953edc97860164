"""What this process knows of the operations that aren't finished: their newest state, and their places in line."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from vendetta.models import FINISHED, Operation, Progress

PUBLISH_EVERY_SECONDS = 0.1
"""How often watchers get progress, at most."""


@dataclass(kw_only=True)
class LiveOperation:
    """Hold one operation. `operation` is its newest snapshot; `after` the one before it on the same target."""

    operation: Operation
    input: dict[str, Any]
    lane: str
    expires: float
    """Its deadline on the loop's clock: the machine's own may be set meanwhile."""
    after: "LiveOperation | None" = None

    transition: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the state changes."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """This process is done with it, finished or not."""

    cancelling: bool = False
    asking: bool = False
    """Whether it is about to be read if it is to be cancelled."""
    life: asyncio.Task[Any] | None = None
    """From its place in the line to its end, its handler's too."""
    abandoned: bool = False
    """Whether another process goes on with it, or this one later."""
    pausing: bool = False
    """Between two tries of a step."""
    step: asyncio.Task[Any] | None = None
    """The step that is running and may be stopped."""

    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _published_at: float = 0.0
    _publishing: asyncio.TimerHandle | None = None

    def before(self) -> "LiveOperation | None":
        """Return the next one to wait for, or None. One that left out of turn doesn't speak for those before it."""
        before = self.after
        while before and before.over.is_set():
            before = before.after
        return before

    async def first_in_line(self) -> None:
        """Wait until everyone who came before is done."""
        while before := self.before():
            await before.over.wait()
        self.after = None

    def publish(self, operation: Operation) -> None:
        """Set its state, and pass it on to all watchers now."""
        self.operation = operation
        self._wake()

    def publish_progress(self, progress: Progress) -> None:
        """Set its progress, and pass it on: now, or PUBLISH_EVERY_SECONDS after the last time, with the newest then."""
        self.operation = replace(self.operation, progress=progress)
        wait = self._published_at + PUBLISH_EVERY_SECONDS - time.monotonic()
        if wait <= 0:
            self._wake()
        elif self._publishing is None:
            self._publishing = asyncio.get_running_loop().call_later(wait, self._wake)

    def interrupt_pause(self) -> None:
        """Abandon it if it pauses between two tries, as the server stops: the next process waits on."""
        if self.pausing:
            self.abandon()

    def stop_step(self) -> None:
        """Mark it as being cancelled, and cancel the step that runs, if that may be stopped."""
        self.cancelling = True
        if self.step:
            self.step.cancel()

    def abandon(self) -> None:
        """Stop it here, without a record of that: another process goes on with it."""
        self.abandoned = True
        if self.life:
            self.life.cancel()

    def end(self) -> None:
        """Mark it as over here, and wake who waits for it."""
        self.over.set()
        self._wake()

    async def snapshots(self) -> AsyncIterator[Operation]:
        """Yield the state now, then each newer one, until it is finished or this process is done with it."""
        seen = None
        while seen is None or seen.state not in FINISHED:
            changed = self._changed
            if self.operation is not seen:
                seen = self.operation
                yield seen
            elif self.over.is_set():
                return
            else:
                await changed.wait()

    def _wake(self) -> None:
        if self._publishing:
            self._publishing.cancel()
            self._publishing = None
        self._published_at = time.monotonic()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Lanes:
    """Hold all live operations, by id, and the last in line of each noun and target."""

    def __init__(self) -> None:
        self._by_id: dict[str, LiveOperation] = {}
        self._last: dict[str, LiveOperation] = {}
        self.side_by_side: set[str] = set()
        """The kinds whose operations wait for no other on their target."""

    def __iter__(self) -> Iterator[LiveOperation]:
        return iter(list(self._by_id.values()))

    def get(self, id: str) -> LiveOperation | None:
        return self._by_id.get(id)

    def line_up(self, operation: Operation, input: dict[str, Any], expires: float) -> LiveOperation:
        """Add it at the end of the line of its target. `expires` is its deadline, in seconds on the loop's clock."""
        lane = self._lane(operation)
        run = LiveOperation(operation=operation, input=input, lane=lane, expires=expires, after=self._last.get(lane))
        self._by_id[operation.id] = self._last[lane] = run
        return run

    def leave(self, run: LiveOperation) -> None:
        """Take it out of the line, and mark it as over here."""
        run.end()
        self._by_id.pop(run.operation.id, None)
        lane = run.lane
        if self._last.get(lane) is run:
            del self._last[lane]
            if before := run.before():
                self._last[lane] = before

    def _lane(self, operation: Operation) -> str:
        """Return the lane, of which one runs at a time: a noun and its target, or the operation alone."""
        if operation.kind in self.side_by_side:
            return f"{operation.kind} {operation.id}"
        return f"{operation.kind.partition('.')[0]} {operation.target}"


def build_duration(operation: Operation) -> dict[str, float]:
    """Build `seconds` for an event: how long it took. Empty where it hasn't ended, or was never begun."""
    if operation.started_at is None or operation.finished_at is None:
        return {}
    return {"seconds": max(0.0, round((operation.finished_at - operation.started_at).total_seconds(), 3))}
