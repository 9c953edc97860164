"""Operations whose node is away: they wait, say so, and end by their deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.errors import Cancelled, ConnectFailed, ConnectionLost, EngineUnavailable, HostKeyChanged, VendettaError
from vendetta.models import LONGEST_HISTORY, Attempt, Operation
from vendetta.store import Store

Open = Callable[..., AbstractAsyncContextManager[Operations]]
Input = dict[str, Any]
LONG_SECONDS = 3600.0
"""Nobody wakes by it in a test."""
DEADLINE_SECONDS = 2.0
"""Long enough to begin within it on a busy machine."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
def open_operations(store: Store) -> Open:
    @asynccontextmanager
    async def opened(
        handler: Handler, pause: Callable[[int], float] = lambda failures: LONG_SECONDS, **more: Any
    ) -> AsyncIterator[Operations]:
        async with Events(store) as events:
            operations = Operations(store, events, pause=pause, **more)
            operations.register("thing.go", handler)
            async with operations:
                yield operations

    return opened


class Node:
    """Its link fails so many times, and is well then. A handler of one step."""

    def __init__(self, failures: int, error: VendettaError | None = None, *, once: bool = False) -> None:
        self.failures = failures
        self.error = error or ConnectFailed("no route to host", node="gpu", sent=False, link_lost=True)
        self.once = once
        self.calls = 0
        self.cleaned = 0

    async def __call__(self, steps: Steps, given: Input) -> Input:
        try:
            await (steps.run_once if self.once else steps.run)("call", self._call)
        except VendettaError:
            await steps.run("clean", self._clean, cleanup=True)
            raise
        return {"calls": self.calls}

    async def _call(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error

    async def _clean(self) -> None:
        self.cleaned += 1


async def submit(operations: Operations, target: str = "t", deadline_seconds: float | None = None) -> Operation:
    return await operations.submit(Ask("me", deadline_seconds=deadline_seconds), "thing.go", target, {})


async def waiting(operations: Operations, id: str, tries: int = 1) -> Operation:
    """Once it waits for its node after so many tries."""
    async with asyncio.timeout(20):
        async for operation in operations.watch(id):
            if operation.progress and operation.progress.waiting_for and len(operation.history) >= tries:
                return operation
    raise AssertionError("it ended without waiting")


async def written(store: Store, id: str) -> Sequence[Attempt]:
    """What it is told to wait for is written down a moment later."""
    async with asyncio.timeout(20):
        while not (history := (await store.operations.get(id)).history):
            await asyncio.sleep(0)
    return history


async def test_it_waits_for_its_node_and_says_so(open_operations: Open, store: Store) -> None:
    node = Node(failures=2)
    async with open_operations(node) as operations:
        submitted = await submit(operations)
        assert submitted.deadline == submitted.created_at + timedelta(hours=1)
        seen = await waiting(operations, submitted.id)
        assert seen.deadline
        assert seen.progress
        assert seen.progress.message == (f"waiting for node gpu: no route to host; until {seen.deadline:%H:%M} UTC")
        [attempt] = await written(store, submitted.id)
        assert (attempt.step, attempt.number, attempt.code, attempt.error) == (
            "call",
            1,
            "connect_failed",
            "no route to host",
        )
        assert attempt.next_try_at == attempt.ended_at + timedelta(seconds=LONG_SECONDS)
        operations.waiting.back("other")
        operations.waiting.back("gpu")
        await waiting(operations, submitted.id, tries=2)
        assert node.calls == 2
        operations.waiting.back("gpu")
        done = await operations.wait(submitted.id, None)
    assert (done.state, done.result) == ("succeeded", {"calls": 3})
    assert [(one.number, one.code) for one in done.history] == [(1, "connect_failed"), (2, "connect_failed"), (3, None)]
    assert done == await store.operations.get(done.id)


async def test_without_a_word_of_the_node_it_tries_again_by_itself(open_operations: Open) -> None:
    asked: list[int] = []

    def pause(failures: int) -> float:
        asked.append(failures)
        return 0.0

    async with open_operations(Node(failures=100), pause) as operations:
        done = await operations.wait((await submit(operations)).id, None)
    assert done.result == {"calls": 101}
    assert asked == list(range(1, 101))
    assert len(done.history) == LONGEST_HISTORY
    assert [one.number for one in done.history] == list(range(52, 102))


async def test_past_its_deadline_it_fails_and_says_what_it_waited_for(open_operations: Open) -> None:
    node = Node(failures=100)
    async with open_operations(node) as operations:
        failed = await operations.wait((await submit(operations, deadline_seconds=DEADLINE_SECONDS)).id, None)
    assert failed.state == "failed"
    assert failed.error
    assert failed.error.code == "deadline_exceeded"
    assert "within 2 s; it was waiting for node gpu: no route to host" in failed.error.detail
    assert "vendetta node doctor gpu" in (failed.error.hint or "")
    assert (node.calls, node.cleaned) == (1, 1)


async def test_a_step_that_takes_too_long_is_stopped(open_operations: Open) -> None:
    async def go(steps: Steps, given: Input) -> Input:
        async def hang() -> None:
            await asyncio.Event().wait()

        await steps.run("hang", hang)
        return {}

    async with open_operations(go) as operations:
        failed = await operations.wait((await submit(operations, deadline_seconds=DEADLINE_SECONDS)).id, None)
    assert failed.error
    assert failed.error.code == "deadline_exceeded"
    assert [(one.step, one.code) for one in failed.history] == [("hang", "interrupted")]


async def test_one_whose_turn_does_not_come_in_time_fails_without_being_begun(open_operations: Open) -> None:
    async with open_operations(Node(failures=1)) as operations:
        first = await submit(operations)
        await waiting(operations, first.id)
        late = await operations.wait((await submit(operations, deadline_seconds=0.05)).id, None)
        third = await submit(operations)
        assert late.error
        assert (late.state, late.attempts, late.error.code) == ("failed", 0, "deadline_exceeded")
        assert (await operations.get(third.id)).state == "pending"
        operations.waiting.back("gpu")
        assert (await operations.wait(third.id, None)).state == "succeeded"


async def test_cancelling_does_not_wait_for_the_node(open_operations: Open) -> None:
    node = Node(failures=100)
    async with open_operations(node) as operations:
        submitted = await submit(operations)
        await waiting(operations, submitted.id)
        await operations.cancel(submitted.id)
        ended = await operations.wait(submitted.id, None)
    assert (ended.state, node.calls, node.cleaned) == ("cancelled", 1, 1)


async def test_what_somebody_has_to_mend_is_not_waited_for(open_operations: Open) -> None:
    changed = HostKeyChanged("it is another one", node="gpu", sent=False, link_lost=True)
    async with open_operations(Node(failures=100, error=changed)) as operations:
        failed = await operations.wait((await submit(operations)).id, None)
    assert failed.error
    assert failed.error.code == "host_key_changed"


async def test_an_engine_that_does_not_answer_is_asked_a_few_times(open_operations: Open) -> None:
    node = Node(failures=100, error=EngineUnavailable("no docker there"))
    async with open_operations(node, lambda failures: 0.0) as operations:
        failed = await operations.wait((await submit(operations)).id, None)
    assert failed.error
    assert (failed.error.code, node.calls) == ("engine_unavailable", 3)
    assert [one.next_try_at is None for one in failed.history if one.step == "call"] == [False, False, True]


async def test_what_must_not_run_twice_is_not_sent_twice(open_operations: Open) -> None:
    lost = ConnectionLost("the link was lost", node="gpu", sent=True, link_lost=True)
    node = Node(failures=100, error=lost, once=True)
    async with open_operations(node) as operations:
        failed = await operations.wait((await submit(operations)).id, None)
        assert failed.error
        assert (failed.error.code, node.calls) == ("outcome_unknown", 1)
        assert "the link was lost in step call" in failed.error.detail
    unsent = Node(failures=3, once=True)
    async with open_operations(unsent, lambda failures: 0.0) as operations:
        assert (await operations.wait((await submit(operations)).id, None)).result == {"calls": 4}


async def test_what_could_not_be_stopped_is_said_after_the_deadline_too(open_operations: Open) -> None:
    async def go(steps: Steps, given: Input) -> Input:
        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as exc:
                raise Cancelled("it was cancelled", left="its program may still run") from exc

        await steps.run("hang", hang)
        return {}

    async with open_operations(go) as operations:
        late = await operations.wait((await submit(operations, deadline_seconds=DEADLINE_SECONDS)).id, None)
    assert late.error
    assert (late.error.code, late.error.details["left"]) == ("deadline_exceeded", "its program may still run")


async def test_a_server_that_stops_does_not_wait_and_the_next_one_does(open_operations: Open, store: Store) -> None:
    node = Node(failures=2)
    async with asyncio.timeout(20):
        async with open_operations(node, drain_seconds=LONG_SECONDS) as operations:
            submitted = await submit(operations)
            await waiting(operations, submitted.id)
        assert (await store.operations.get(submitted.id)).state == "running"
    async with open_operations(node) as operations:
        seen = await waiting(operations, submitted.id, tries=2)
        assert seen.deadline == submitted.deadline
        operations.waiting.back("gpu")
        done = await operations.wait(submitted.id, None)
    assert (done.state, done.attempts, done.result) == ("succeeded", 2, {"calls": 3})
    assert [one.code for one in done.history] == ["connect_failed", "connect_failed", None]


async def test_a_machine_whose_clock_is_set_does_not_end_it(open_operations: Open) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with open_operations(Node(failures=1), clock=lambda: now) as operations:
        submitted = await submit(operations, deadline_seconds=60.0)
        await waiting(operations, submitted.id)
        now += timedelta(hours=1)
        operations.waiting.back("gpu")
        assert (await operations.wait(submitted.id, None)).state == "succeeded"


async def test_one_that_was_left_past_its_deadline_cleans_up(open_operations: Open) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    node = Node(failures=100)
    async with open_operations(node, clock=lambda: now) as operations:
        submitted = await submit(operations, deadline_seconds=60.0)
        await waiting(operations, submitted.id)
    now += timedelta(hours=1)
    async with open_operations(node, clock=lambda: now) as operations:
        failed = await operations.wait(submitted.id, None)
    assert failed.error
    assert (failed.error.code, node.calls, node.cleaned) == ("deadline_exceeded", 1, 1)


async def test_it_wakes_when_the_link_of_another_replica_is_back(open_operations: Open) -> None:
    """Who watches the node tells all of it by an event."""
    async with open_operations(Node(1)) as operations:
        made = await submit(operations)
        await waiting(operations, made.id)
        for news in (None, {"sequence": 1}, {"sequence": 2, "kind": "node.connected", "subject": "lab"}):
            operations.waiting.on_event(news)
        operations.waiting.on_event({"sequence": 3, "kind": "node.connected", "subject": "gpu"})
        assert (await operations.wait(made.id, 20)).state == "succeeded"
