"""Write the records of operations, and publish their changes to the other processes.

One process holds each operation: the one that was asked for it, or that took it over from one that is gone. Where
several share the database, each operation waits until it is the first unfinished one of its lane there; the database
ensures that only one of a lane runs. A process on SQLite is alone, and knows all of each lane.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import msgspec

from vendetta.coordination.events import Events
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import Conflict, WrongState
from vendetta.models import FINISHED, Operation, Progress
from vendetta.store import OperationLease, Outcome, Store, Transaction

from .lanes import LiveOperation, build_duration

TOPIC = "operations"
PROGRESS_SECONDS = 0.5
"""How often progress is published to other processes, at most."""
LOOK_SECONDS = 2.0
"""How often the store is read for changes of which no message came."""


class Peers(Protocol):
    """Describe this process among all on the database: what `Membership` offers."""

    @property
    def id(self) -> str: ...

    @property
    def member(self) -> bool: ...

    def alive(self) -> frozenset[str]: ...

    def on_gone(self, listener: Callable[[str], None]) -> None: ...

    def on_change(self, listener: Callable[[frozenset[str]], None]) -> None: ...


class Journal:
    """The records of operations. `group` is None on SQLite; `stopping` ends every wait for the database."""

    def __init__(
        self,
        store: Store,
        events: Events,
        group: Peers | None,
        *,
        stopping: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._events = events
        self._group = group
        self._stopping = stopping
        self._clock = clock
        self._changed = asyncio.Event()
        self._progress: dict[str, Progress] = {}

    @property
    def holder(self) -> str:
        """Return the id of this process, with the version of the steps that it performs.

        So a replica of a program that knows no versions doesn't take it for one that it may take over from.
        """
        return f"{self._group.id}/{self._store.steps_version}" if self._group else self._store.server_id

    def held(self, operation: str) -> OperationLease:
        """Return the lease that fences all that is written of the operation."""
        return OperationLease(operation=operation, holder=self.holder)

    @property
    def shared(self) -> bool:
        return self._group is not None

    @property
    def holding(self) -> bool:
        """Return whether what this process holds is still its own: otherwise another process may go on with it."""
        return self._group is None or self._group.member

    async def check_same(self, run: LiveOperation, recorded: Operation, key: str | None) -> None:
        """Raise `Conflict` where the operation that was made with the key isn't the one that is asked for."""
        asked = run.operation
        same = (recorded.kind, recorded.target) == (asked.kind, asked.target)
        if not same or run.input != await self._store.operations.input(recorded.id):
            raise Conflict(
                f"the key {key} was used for {recorded.kind} {recorded.target}, and not for this",
                hint="Use a new Idempotency-Key for each thing that you ask for.",
                operation=recorded.id,
            )

    async def begin(self, run: LiveOperation) -> bool:
        """Begin it once it is the first of its lane. Returns False where it has ended, or isn't held here any more."""
        while not self._stopping() and self.holding:
            changed = self._changed
            async with run.transition:
                if run.operation.state in FINISHED:
                    return False
                if begun := await self._try_to_begin(run):
                    run.publish(begun)
                    return True
            if not self.shared:
                break
            await self.until(changed)
        return False

    async def _try_to_begin(self, run: LiveOperation) -> Operation | None:
        before = run.operation
        changes: dict[str, Any] = {
            "attempts": before.attempts + 1,
            "started_at": before.started_at or self._clock(),
            "deadline": before.deadline,
        }
        place: dict[str, Any] = {"holder": self.holder, "lane": run.lane, "in_order": self.shared}
        return await self._change(lambda state: state.operations.begin(before.id, **place, **changes))

    @staticmethod
    async def until(changed: asyncio.Event) -> None:
        """Wait for `changed`, at most LOOK_SECONDS."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await changed.wait()

    async def keep_step(self, id: str, name: str, outcome: Outcome | None, *, once: bool = False) -> None:
        """Write what came of a step of it, or that it has begun, once the database can be used.

        Raises `LeaseLost`, and `StoreUnavailable` once the server stops.
        """
        await retry_while_store_is_down(
            lambda: self._store.steps.keep(self.held(id), name, outcome, once=once), stopping=self._stopping
        )

    async def load_steps(self, run: LiveOperation) -> Mapping[str, Outcome | None]:
        """Return what is known of its steps: see `OperationSteps.load`. Raises `StoreUnavailable` as `keep_step`."""
        return await retry_while_store_is_down(
            lambda: self._store.steps.load(run.operation.id), stopping=self._stopping
        )

    async def finish(self, run: LiveOperation, **changes: Any) -> Operation | None:
        """Write how it ended, and return it; None where another process holds it by now, which says how it ends."""
        return await self._change(
            lambda state: state.operations.finish(run.operation.id, holder=self.holder, **changes)
        )

    async def _change(self, write: Callable[[Transaction], Awaitable[Operation | None]]) -> Operation | None:
        """Write a change and the event of it in one transaction. Returns what `write` returns; None: no change."""

        async def change() -> Operation | None:
            async with self._store.transaction() as state:
                operation = await write(state)
                if operation is None:
                    return None
                if self.shared:
                    await state.notify(TOPIC, {"id": operation.id})
                kind = "started" if operation.state == "running" else operation.state
                event = await state.events.append(
                    f"operation.{kind}", operation.id, operation.actor, build_event_data(operation)
                )
            await self._events.announce(event)
            return operation

        return await retry_while_store_is_down(change, stopping=self._stopping)

    async def keep_history(self, operation: Operation) -> None:
        """Write the attempts that it has had so far, and send its progress to other processes."""
        await self._store.operations.update(operation.id, history=operation.history)
        await self.publish_progress(operation)

    async def publish_progress(self, operation: Operation) -> None:
        """Send its progress to other processes, where there may be some, the message cut to 2,000 characters."""
        if self.shared and operation.progress:
            progress = msgspec.to_builtins(replace(operation.progress, message=operation.progress.message[:2000]))
            await self._notify({"id": operation.id, "progress": progress})

    async def follow_progress(self, lives: Callable[[], Iterable[LiveOperation]]) -> None:
        """Send to other processes how far the operations are that run here, until it is cancelled."""
        published: dict[str, Progress | None] = {}
        while self.shared:
            await asyncio.sleep(PROGRESS_SECONDS)
            now = [live.operation for live in lives()]
            for operation in now:
                if operation.progress is not published.get(operation.id):
                    await self.publish_progress(operation)
            published = {operation.id: operation.progress for operation in now}

    async def publish_cancel(self, id: str) -> None:
        """Ask the process that runs it to stop it. That it is to be cancelled was written before."""
        await self._notify({"id": id, "cancel": True})

    async def watch(self, id: str) -> AsyncIterator[Operation]:
        """Yield an operation that another process holds, as it is now and whenever it changes, until it has ended."""
        seen: Operation | None = None
        while seen is None or seen.state not in FINISHED:
            changed = self._changed
            operation = self.with_progress(await self._store.operations.get(id))
            if operation != seen:
                seen = operation
                yield operation
                continue
            if not self.shared or self._stopping():
                return
            await self.until(changed)

    def with_progress(self, operation: Operation) -> Operation:
        """Return it with the progress that the process which runs it has sent last, while it runs."""
        progress = self._progress.get(operation.id)
        return replace(operation, progress=progress) if progress and operation.state == "running" else operation

    def listen(self, cancel: Callable[[str | None], None]) -> Callable[[], None]:
        """Call `cancel` with the id of an operation that is to be stopped; None: there may be some.

        Returns the function that unsubscribes it.
        """

        def on_news(payload: dict[str, Any] | None) -> None:
            if payload is None:
                cancel(None)
            elif "cancel" in payload:
                cancel(payload["id"])
            elif "progress" in payload:
                self._progress[payload["id"]] = msgspec.convert(payload["progress"], Progress)
            else:
                self._progress.pop(payload["id"], None)
            self.wake()

        return self._store.news.listen(TOPIC, on_news)

    def wake(self) -> None:
        """Have everyone who waits for a change look for one."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _notify(self, payload: dict[str, Any]) -> None:
        if self.shared:
            await retry_while_store_is_down(lambda: self._store.news.notify(TOPIC, payload), stopping=self._stopping)


def build_event_data(operation: Operation) -> dict[str, Any]:
    """Build the data of its events: its kind, target and error code, and its duration if it has ended."""
    code = operation.error.code if operation.error else None
    return {"operation": operation.kind, "target": operation.target, "code": code, **build_duration(operation)}


def check_cancelled(operation: Operation) -> Operation:
    """Return it if it is cancelled. Raises `WrongState` where it has ended otherwise."""
    if operation.state != "cancelled":
        raise WrongState(f"operation {operation.id} has already {operation.state}", operation=operation.id)
    return operation


def parse_replica(holder: str) -> str:
    """Return the id of the replica that a holder is; one of a program without versions signs with that alone."""
    return holder.partition("/")[0]
