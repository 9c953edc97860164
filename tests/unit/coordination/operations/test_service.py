import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.unit.store.samples import make_workspace

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.operations.lanes import LiveOperation
from vendetta.errors import (
    Busy,
    Cancelled,
    Conflict,
    ImageNotFound,
    OperationNotFound,
    ServerUnavailable,
    Unsupported,
    VendettaError,
    WrongState,
)
from vendetta.models import Operation, Progress
from vendetta.store import LeaseLost, Store, StoreUnavailable

Open = Callable[..., AbstractAsyncContextManager[Operations]]
Input = dict[str, Any]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(str(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
def open_operations(store: Store) -> Open:
    """Operations with the handlers that are given by their verb, for nouns `thing` and `other`."""

    @asynccontextmanager
    async def opened(drain_seconds: float = 30.0, **handlers: Handler) -> AsyncIterator[Operations]:
        async with AsyncExitStack() as stack:
            events = await stack.enter_async_context(Events(store))
            operations = Operations(store, events, drain_seconds=drain_seconds)
            for verb, handler in handlers.items():
                operations.register(f"thing.{verb}", handler)
                operations.register(f"other.{verb}", handler)
            yield await stack.enter_async_context(operations)

    return opened


class Gate:
    """A handler whose one step says when it has begun, and ends when it is let through."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Input] = asyncio.Queue()
        self.open = asyncio.Event()
        self.cleaned = 0

    async def __call__(self, steps: Steps, given: Input) -> Input:
        try:
            await steps.run("pass", lambda: self._pass(given))
        except Cancelled:
            await steps.run("clean", self._clean, cleanup=True)
            raise
        return given

    async def _pass(self, given: Input) -> None:
        self.begun.put_nowait(given)
        await self.open.wait()

    async def _clean(self) -> None:
        self.cleaned += 1


async def echo(steps: Steps, given: Input) -> Input:
    async def value() -> Input:
        return given

    return await steps.run("echo", value)


async def submit(operations: Operations, kind: str, target: str = "t", **given: Any) -> Operation:
    return await operations.submit(Ask("uid:0"), kind, target, given)


async def test_an_operation_is_recorded_done_and_told(open_operations: Open, store: Store) -> None:
    async with open_operations(echo=echo) as operations:
        submitted = await submit(operations, "thing.echo", word="hello", pair=(1, 2))
        assert (submitted.state, submitted.attempts, submitted.actor) == ("pending", 0, "uid:0")
        done = await operations.wait(submitted.id, None)
        assert (done.state, done.attempts, done.error) == ("succeeded", 1, None)
        assert done.result == {"word": "hello", "pair": [1, 2]}
        assert done.started_at
        assert done.finished_at
        assert await operations.get(done.id) == done == await store.operations.get(done.id)
        assert (await operations.list(kind="thing.echo", state="succeeded")).items == [done]
        assert operations.running == 0
    told = (await store.events.list()).items
    assert [event.kind for event in told] == ["operation.started", "operation.succeeded"]
    assert told[1].subject == done.id
    assert told[1].data.pop("seconds") >= 0
    assert told[1].data == {"operation": "thing.echo", "target": "t", "code": None}


async def test_an_error_of_ours_comes_through_a_step_as_it_is(open_operations: Open, store: Store) -> None:
    caught: list[VendettaError] = []

    async def fail(steps: Steps, given: Input) -> Input:
        async def pull() -> None:
            raise ImageNotFound("no image x", hint="Push it.", image="x", path=Path("/x"))

        try:
            await steps.run("pull", pull)
        except ImageNotFound as exc:
            caught.append(exc)
            raise
        return {}

    async with open_operations(fail=fail) as operations:
        failed = await operations.wait((await submit(operations, "thing.fail")).id, None)
    assert failed.state == "failed"
    assert failed.error
    assert (failed.error.code, failed.error.hint) == ("image_not_found", "Push it.")
    assert caught[0].details == failed.error.details == {"image": "x", "path": "/x"}
    assert (await store.events.list()).items[-1].data["code"] == "image_not_found"


@pytest.mark.parametrize("inside", [True, False])
async def test_any_other_error_is_an_internal_one(open_operations: Open, inside: bool) -> None:
    async def fail(steps: Steps, given: Input) -> Input:
        async def crash() -> None:
            raise KeyError("secret")

        await (steps.run("crash", crash) if inside else crash())
        return {}

    with capture_logs() as logs:
        async with open_operations(fail=fail) as operations:
            failed = await operations.wait((await submit(operations, "thing.fail")).id, None)
    assert failed.error
    assert failed.error.code == "internal"
    assert "secret" not in failed.error.detail
    assert [repr(entry["exc_info"]) for entry in logs] == ["KeyError('secret')"]


async def test_a_step_that_nobody_cancelled_is_not_cancelled(open_operations: Open) -> None:
    async def fail(steps: Steps, given: Input) -> Input:
        async def leak() -> None:
            raise asyncio.CancelledError

        await steps.run("leak", leak)
        return {}

    async with open_operations(fail=fail) as operations:
        failed = await operations.wait((await submit(operations, "thing.fail")).id, None)
    assert failed.state == "failed"


async def test_where_the_store_fails_the_operation_is_left_for_the_next_server(
    open_operations: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*args: object, **changes: object) -> None:
        raise OSError("disk full")

    gate = Gate()
    with capture_logs() as logs:
        async with open_operations(go=gate) as operations:
            operation = await submit(operations, "thing.go")
            await gate.begun.get()
            with monkeypatch.context() as patch:
                patch.setattr(type(store.operations), "finish", break_down)
                patch.setattr(type(store.operations), "add", break_down)
                gate.open.set()
                with pytest.raises(ServerUnavailable):
                    await operations.wait(operation.id, None)
                with pytest.raises(OSError, match="disk full"):
                    await submit(operations, "thing.go")
    assert [entry["event"] for entry in logs] == ["operation left unfinished"]
    async with open_operations(go=gate) as operations:
        assert (await operations.wait(operation.id, None)).state == "succeeded"


async def test_a_value_that_is_no_json_fails_the_operation(open_operations: Open) -> None:
    async def fail(steps: Steps, given: Input) -> Input:
        async def value() -> object:
            return object()

        await steps.run("value", value)
        return {}

    async with open_operations(fail=fail) as operations:
        failed = await operations.wait((await submit(operations, "thing.fail")).id, None)
    assert failed.state == "failed"


async def test_the_same_key_is_the_same_operation(open_operations: Open) -> None:
    async with open_operations(echo=echo) as operations:
        given = {"a": 1}
        assert not await operations.known("key")
        assert not await operations.known(None)
        both = await asyncio.gather(*(operations.submit(Ask("me", "key"), "thing.echo", "t", given) for _ in range(2)))
        assert both[0].id == both[1].id
        assert await operations.known("key")
        done = await operations.wait(both[0].id, None)
        assert await operations.submit(Ask("me", "key"), "thing.echo", "t", given) == done
        for kind, target, other in [("other.echo", "t", given), ("thing.echo", "u", given), ("thing.echo", "t", {})]:
            with pytest.raises(Conflict):
                await operations.submit(Ask("me", "key"), kind, target, other)
        # what was refused doesn't stand in anybody's way
        assert (await operations.wait((await submit(operations, "thing.echo")).id, None)).state == "succeeded"


async def test_one_target_is_served_in_order_and_others_at_once(open_operations: Open) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        for number in range(3):
            await submit(operations, "thing.go", "a", at="a", number=number)
        await submit(operations, "thing.go", "b", at="b")
        await submit(operations, "other.go", "a", at="other a")
        begun = [await gate.begun.get() for _ in range(3)]
        assert {given["at"] for given in begun} == {"a", "b", "other a"}
        assert gate.begun.empty()
        assert operations.running == 3
        gate.open.set()
        assert [(await gate.begun.get())["number"] for _ in range(2)] == [1, 2]


async def test_one_that_is_not_admitted_keeps_nobody_waiting_and_lets_nobody_pass(open_operations: Open) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        first = await operations.submit(Ask("me", "key"), "thing.go", "t", {})
        again = await operations.submit(Ask("me", "key"), "thing.go", "t", {})
        last = await submit(operations, "thing.go", last=True)
        await gate.begun.get()
        assert again.id == first.id
        assert (await operations.get(last.id)).state == "pending"
        gate.open.set()
        assert (await operations.wait(last.id, None)).state == "succeeded"
        assert (await operations.wait((await submit(operations, "thing.go")).id, None)).state == "succeeded"


async def test_a_failed_one_lets_the_next_go_on(open_operations: Open) -> None:
    async def fail(steps: Steps, given: Input) -> Input:
        raise Busy("no")

    async with open_operations(fail=fail, echo=echo) as operations:
        await submit(operations, "thing.fail")
        assert (await operations.wait((await submit(operations, "thing.echo")).id, None)).state == "succeeded"


async def test_waiting_ends_with_the_time(open_operations: Open) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        operation = await submit(operations, "thing.go")
        await gate.begun.get()
        assert (await operations.wait(operation.id, 0)).state == "running"
        gate.open.set()


async def test_everyone_who_watches_sees_progress_and_the_end(open_operations: Open) -> None:
    steps_of: list[Steps] = []
    gate = Gate()

    async def go(steps: Steps, given: Input) -> Input:
        steps_of.append(steps)
        return await gate(steps, given)

    async def watch(id: str) -> list[Operation]:
        return [operation async for operation in operations.watch(id)]

    async with open_operations(go=go) as operations:
        operation = await submit(operations, "thing.go")
        watchers = [asyncio.create_task(watch(operation.id)) for _ in range(2)]
        await gate.begun.get()
        seen = operations.watch(operation.id)
        for number in range(1000):
            steps_of[0].progress(Progress(message="pulling", current=number, total=1000))
        newest = [await anext(seen)]
        assert newest[0].progress == Progress(message="pulling", current=999, total=1000)
        assert (await operations.list()).items == newest == [await operations.get(operation.id)]
        gate.open.set()
        for watcher in watchers:
            snapshots = await watcher
            assert len(snapshots) < 10
            assert snapshots[-1].state == "succeeded"
        assert [found.state async for found in operations.watch(operation.id)] == ["succeeded"]


async def test_a_pending_one_is_cancelled_at_once(open_operations: Open, store: Store) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        first = await submit(operations, "thing.go", number=1)
        second = await submit(operations, "thing.go", number=2)
        third = await submit(operations, "thing.go", number=3)
        await gate.begun.get()
        cancelled = await operations.cancel(second.id)
        assert (cancelled.state, cancelled.attempts) == ("cancelled", 0)
        assert await operations.wait(second.id, None) == cancelled == await operations.cancel(second.id)
        # the third still comes after the first
        assert (await operations.get(third.id)).state == "pending"
        gate.open.set()
        assert (await gate.begun.get()) == {"number": 3}
        await operations.wait(third.id, None)
        with pytest.raises(WrongState, match="already succeeded"):
            await operations.cancel(first.id)
        assert await operations.cancel(second.id) == await store.operations.get(second.id) == cancelled


async def test_a_running_one_is_stopped_and_cleans_up(open_operations: Open, store: Store) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        operation = await submit(operations, "thing.go")
        await gate.begun.get()
        await operations.cancel(operation.id)
        ended = await operations.wait(operation.id, None)
    assert ended.state == "cancelled"
    assert ended.error
    assert ended.error.code == "cancelled"
    assert gate.cleaned == 1
    assert (await store.events.list()).items[-1].kind == "operation.cancelled"


async def test_no_step_is_begun_after_cancelling_but_to_clean_up(open_operations: Open) -> None:
    ran: list[str] = []
    between, cancelled = asyncio.Event(), asyncio.Event()

    async def go(steps: Steps, given: Input) -> Input:
        async def note(name: str) -> None:
            ran.append(name)

        await steps.run("first", lambda: note("first"))
        between.set()
        await cancelled.wait()
        for name in ("second", "third"):
            with pytest.raises(Cancelled):
                await steps.run(name, lambda name=name: note(name))  # type: ignore[misc]
        await steps.run("clean", lambda: note("clean"), cleanup=True)
        await steps.run("fourth", lambda: note("fourth"))
        return {}

    async with open_operations(go=go) as operations:
        operation = await submit(operations, "thing.go")
        await between.wait()
        await operations.cancel(operation.id)
        cancelled.set()
        assert (await operations.wait(operation.id, None)).state == "cancelled"
    assert ran == ["first", "clean"]


class Looked:
    """A handler that looks after its step, in the same one: by a gate, and by a step of its own where that fails."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.error: Exception | None = None
        self.ran: list[str] = []

    async def __call__(self, steps: Steps, given: Input) -> Input:
        seen = await steps.run_then("act", lambda: self._note("act"), self._look)
        if seen is None:
            await steps.run("look again", lambda: self._note("look again"), cleanup=True)
        return {"seen": seen}

    async def _note(self, name: str) -> None:
        self.ran.append(name)

    async def _look(self) -> str:
        self.ran.append("look")
        self.begun.set()
        await self.open.wait()
        if self.error:
            raise self.error
        return "all well"


async def test_what_is_looked_at_after_a_step_is_part_of_it(open_operations: Open, store: Store) -> None:
    looked = Looked()
    looked.open.set()
    async with open_operations(go=looked) as operations:
        done = await operations.wait((await submit(operations, "thing.go")).id, None)
        assert (done.state, done.result) == ("succeeded", {"seen": "all well"})
        assert [attempt.step for attempt in done.history] == ["act"]
    # it is recorded with the step: what is gone on with repeats neither
    await store.operations.update(done.id, state="running", finished_at=None, result=None)
    async with open_operations(go=looked) as operations:
        assert (await operations.wait(done.id, None)).result == {"seen": "all well"}
    assert looked.ran == ["act", "look"]


@pytest.mark.parametrize("error", [Busy("later"), ZeroDivisionError()])
async def test_a_look_that_fails_leaves_the_step_done(open_operations: Open, error: Exception) -> None:
    looked = Looked()
    looked.error = error
    looked.open.set()
    with capture_logs():
        async with open_operations(go=looked) as operations:
            done = await operations.wait((await submit(operations, "thing.go")).id, None)
    assert (done.state, done.result) == ("succeeded", {"seen": None})
    assert looked.ran == ["act", "look", "look again"]


async def test_who_cancels_while_it_is_looked_is_too_late_for_the_step(open_operations: Open) -> None:
    looked = Looked()
    async with open_operations(go=looked) as operations:
        operation = await submit(operations, "thing.go")
        await looked.begun.wait()
        await operations.cancel(operation.id)
        done = await operations.wait(operation.id, None)
    assert (done.state, done.result) == ("succeeded", {"seen": None})
    assert looked.ran == ["act", "look", "look again"]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_server_that_stops_while_it_is_looked_records_nothing(
    open_operations: Open, store: Store, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    looked = Looked()
    # the cancel comes as the server stops: the step hears of that first
    monkeypatch.setattr(LiveOperation, "stop_step", lambda live: setattr(live, "cancelling", True))
    async with open_operations(drain_seconds=0.0, go=looked) as operations:
        operation = await submit(operations, "thing.go")
        await looked.begun.wait()
        if cancelled:
            await operations.cancel(operation.id)
            await store.operations.update(operation.id, cancelling=False)
    assert (await store.operations.get(operation.id)).state == "running"
    looked.open.set()
    async with open_operations(go=looked) as operations:
        done = await operations.wait(operation.id, None)
    assert (done.state, done.attempts, done.result) == ("succeeded", 2, {"seen": "all well"})
    assert looked.ran == ["act", "look", "act", "look"]


async def test_a_step_may_submit_another_operation_and_wait_for_it(open_operations: Open) -> None:
    async def outer(steps: Steps, given: Input) -> Input:
        async def inner() -> str:
            operation = await operations.submit(Ask("uid:0"), "thing.echo", "inner", {"x": 1})
            return (await operations.wait(operation.id, None)).state

        return {"inner": await steps.run("inner", inner)}

    async with open_operations(outer=outer, echo=echo) as operations:
        operation = await submit(operations, "thing.outer")
        assert (await operations.wait(operation.id, None)).result == {"inner": "succeeded"}


async def test_leaving_waits_for_what_runs_but_begins_nothing(open_operations: Open, store: Store) -> None:
    gate = Gate()
    async with open_operations(go=gate) as operations:
        running = await submit(operations, "thing.go", number=1)
        pending = await submit(operations, "thing.go", number=2)
        await gate.begun.get()
        asyncio.get_running_loop().call_later(0.05, gate.open.set)
    assert (await store.operations.get(running.id)).state == "succeeded"
    assert (await store.operations.get(pending.id)).state == "pending"
    with pytest.raises(ServerUnavailable):
        await submit(operations, "thing.go")


async def test_what_is_not_done_in_time_is_left_and_gone_on_with(open_operations: Open, store: Store) -> None:
    gate = Gate()
    async with open_operations(drain_seconds=0.0, go=gate) as operations:
        operation = await submit(operations, "thing.go", number=1)
        waiting = asyncio.create_task(operations.wait(operation.id, None))
        await gate.begun.get()
    with pytest.raises(ServerUnavailable):
        await waiting
    assert (await store.operations.get(operation.id)).state == "running"
    gate.open.set()
    async with open_operations(go=gate) as operations:
        done = await operations.wait(operation.id, None)
    assert (done.state, done.attempts, done.result) == ("succeeded", 2, {"number": 1})
    assert gate.cleaned == 0


@pytest.mark.parametrize("looking", [False, True])
async def test_a_step_that_is_refused_as_another_servers_is_left_to_that(
    open_operations: Open, store: Store, looking: bool
) -> None:
    """It was stopped for a while, and wakes in the middle of a step."""
    refused = [LeaseLost("it is performed by another replica")]
    ran: list[str] = []

    async def go(steps: Steps, given: Input) -> Input:
        async def write() -> None:
            ran.append("write")
            if refused:
                raise refused.pop()

        async def nothing() -> None:
            return None

        await (steps.run_then("write", nothing, write) if looking else steps.run("write", write))
        return {}

    async with open_operations(go=go) as operations:
        operation = await submit(operations, "thing.go")
        async for _ in operations.watch(operation.id):
            pass
    left = await store.operations.get(operation.id)
    assert (left.state, left.attempts) == ("running", 1)
    async with open_operations(go=go) as operations:
        done = await operations.wait(operation.id, None)
    assert (done.state, done.attempts, ran) == ("succeeded", 2, ["write", "write"])


async def test_a_crash_before_the_first_step_is_begun_again(open_operations: Open, store: Store) -> None:
    now = datetime.now(UTC)
    recorded = Operation(
        id="one", kind="thing.echo", target="t", state="running", attempts=1, actor="me", created_at=now, started_at=now
    )
    await store.operations.add(recorded, {"word": "hello"}, None)
    async with open_operations(echo=echo) as operations:
        done = await operations.wait("one", None)
    assert (done.state, done.attempts, done.started_at, done.result) == ("succeeded", 2, now, {"word": "hello"})


async def test_a_crash_after_the_last_step_repeats_nothing(open_operations: Open, store: Store) -> None:
    gate = Gate()
    gate.open.set()
    async with open_operations(go=gate) as operations:
        done = await operations.wait((await submit(operations, "thing.go", number=1)).id, None)
    await store.operations.update(done.id, state="running", finished_at=None, result=None)
    async with open_operations(go=gate) as operations:
        again = await operations.wait(done.id, None)
    assert (again.state, again.attempts, again.result) == ("succeeded", 2, {"number": 1})
    assert gate.begun.qsize() == 1


async def test_a_cancel_outlives_the_server(open_operations: Open, store: Store) -> None:
    gate = Gate()
    async with open_operations(drain_seconds=0.0, go=gate) as operations:
        operation = await submit(operations, "thing.go")
        await gate.begun.get()
        await store.operations.update(operation.id, cancelling=True)
    async with open_operations(go=gate) as operations:
        assert (await operations.wait(operation.id, None)).state == "cancelled"
    assert gate.cleaned == 1


async def test_stopping_right_after_the_start_harms_nothing(open_operations: Open) -> None:
    gate = Gate()
    async with open_operations(drain_seconds=0.0, go=gate) as operations:
        operation = await submit(operations, "thing.go")
        await gate.begun.get()
    for _ in range(3):
        async with open_operations(drain_seconds=0.0, go=gate):
            pass
    gate.open.set()
    async with open_operations(go=gate) as operations:
        assert (await operations.wait(operation.id, None)).state == "succeeded"


async def test_what_this_program_does_not_know_fails(open_operations: Open, store: Store) -> None:
    async with open_operations() as operations:
        with pytest.raises(Unsupported):
            await submit(operations, "thing.unknown")
        for call in (operations.get, operations.cancel):
            with pytest.raises(OperationNotFound):
                await call("none")
        with pytest.raises(OperationNotFound):
            await operations.wait("none", None)
    gate = Gate()
    async with open_operations(drain_seconds=0.0, go=gate) as operations:
        operation = await submit(operations, "thing.go")
    async with open_operations() as operations:
        failed = await operations.wait(operation.id, None)
    assert failed.error
    assert failed.error.code == "unsupported"


async def test_what_another_version_of_the_steps_left_begins_again(store: Store) -> None:
    """All but what must not run twice."""
    ran: list[str] = []
    stuck = asyncio.Event()

    async def go(steps: Steps, given: Input) -> Input:
        def note(name: str) -> Callable[[], Awaitable[str]]:
            async def act() -> str:
                ran.append(name)
                return f"{name} {len(ran)}"

            return act

        first = await steps.run("first", note("first"))
        once = await steps.run_once("once", note("once"))
        if len(ran) == 2:
            stuck.set()
            await asyncio.Event().wait()
        return {"first": first, "once": once}

    async def perform(version: str) -> None:
        async with Store.open(store.location, version) as shared, Events(shared) as events:
            operations = Operations(shared, events, drain_seconds=0.0)
            operations.register("thing.go", go)
            async with operations:
                if ran:
                    await operations.wait((await operations.list()).items[0].id, None)
                else:
                    await submit(operations, "thing.go")
                    await stuck.wait()

    for version in ("one", "two"):
        await perform(version)
    done = (await store.operations.list()).items[0]
    assert (done.state, done.attempts, done.result) == ("succeeded", 2, {"first": "first 3", "once": "once 2"})


async def test_a_step_that_has_begun_and_must_not_run_twice_is_left_alone(open_operations: Open, store: Store) -> None:
    begun, ran = asyncio.Event(), []

    async def go(steps: Steps, given: Input) -> Input:
        async def once() -> None:
            ran.append("once")
            begun.set()
            await asyncio.Event().wait()

        await steps.run_once("once", once, look="Look at it.")
        return {}

    async with open_operations(drain_seconds=0.0, go=go) as operations:
        operation = await submit(operations, "thing.go")
        await begun.wait()
    for _ in range(2):
        async with open_operations(go=go) as operations:
            done = await operations.wait(operation.id, None)
        assert done.error
        assert (done.error.code, done.error.hint, ran) == ("outcome_unknown", "Look at it.", ["once"])
        await store.operations.update(done.id, state="running", finished_at=None, error=None)


@pytest.mark.parametrize("lost", [False, True])
async def test_an_outcome_is_written_with_what_its_step_writes(open_operations: Open, store: Store, lost: bool) -> None:
    """`lost`: the transaction comes to nothing. Then so does the outcome, and the step is done again."""
    ran: list[int] = []

    async def go(steps: Steps, given: Input) -> Input:
        async def write() -> int:
            ran.append(1)
            async with store.transaction(steps.held) as state:
                await state.workspaces.add(make_workspace(f"web-{len(ran)}"))
                await steps.record(state, 1)
                if lost and len(ran) == 1:
                    raise StoreUnavailable("for a moment")
            return 1

        return {"number": await steps.run("write", write)}

    async with open_operations(go=go) as operations:
        done = await operations.wait((await submit(operations, "thing.go")).id, None)
    assert done.result == {"number": 1}
    assert [one.name for one in await store.workspaces.all()] == ["web-2" if lost else "web-1"]
    await store.operations.update(done.id, state="running", finished_at=None, result=None)
    async with open_operations(go=go) as operations:
        assert (await operations.wait(done.id, None)).result == {"number": 1}
    assert len(ran) == 1 + lost


async def test_steps_of_one_name_have_an_outcome_each(open_operations: Open, store: Store) -> None:
    ran: list[int] = []

    async def go(steps: Steps, given: Input) -> Input:
        async def count() -> int:
            ran.append(1)
            return len(ran)

        return {"numbers": [await steps.run("count", count) for _ in range(3)]}

    async with open_operations(go=go) as operations:
        done = await operations.wait((await submit(operations, "thing.go")).id, None)
    await store.operations.update(done.id, state="running", finished_at=None, result=None)
    async with open_operations(go=go) as operations:
        assert (await operations.wait(done.id, None)).result == {"numbers": [1, 2, 3]}


async def test_where_the_server_stops_before_its_database_is_back_nothing_has_failed(
    open_operations: Open, store: Store
) -> None:
    gate, down = Gate(), asyncio.Event()

    async def refuse(*args: object, **changes: object) -> None:
        down.set()
        raise StoreUnavailable("for long")

    async with open_operations(go=gate) as operations:
        operation = await submit(operations, "thing.go", number=1)
        await gate.begun.get()
        patch = pytest.MonkeyPatch()
        patch.setattr(type(store.steps), "keep", refuse)
        gate.open.set()
        await down.wait()
    patch.undo()
    assert (await store.operations.get(operation.id)).state == "running"
    async with open_operations(go=gate) as operations:
        done = await operations.wait(operation.id, None)
    assert (done.state, done.attempts, gate.cleaned) == ("succeeded", 2, 0)


async def test_old_operations_are_forgotten(open_operations: Open) -> None:
    async with open_operations(echo=echo) as operations:
        ids = [(await submit(operations, "thing.echo")).id for _ in range(3)]
        for id in ids:  # noqa: A001
            await operations.wait(id, None)
        assert await operations.prune(keep=1) == 2
        assert [operation.id for operation in (await operations.list()).items] == ids[2:]


async def test_kinds_that_take_no_turns_run_side_by_side(store: Store) -> None:
    gate = Gate()
    async with Events(store) as events:
        operations = Operations(store, events)
        operations.register("node.execute", gate, takes_turns=False)
        async with operations:
            for _ in range(2):
                await operations.submit(Ask("me"), "node.execute", "gpu", {})
            await gate.begun.get()
            await gate.begun.get()
            gate.open.set()


async def test_the_deadline_of_a_kind_is_for_those_that_are_submitted_without_one(store: Store) -> None:
    async with Events(store) as events:
        operations = Operations(store, events)
        operations.register("node.execute", echo, deadline_seconds=86400.0)
        async with operations:
            long = await operations.submit(Ask("me"), "node.execute", "gpu", {})
            short = await operations.submit(Ask("me", deadline_seconds=5.0), "node.execute", "gpu", {})
    given = [(one.deadline - one.created_at).total_seconds() for one in (long, short) if one.deadline]
    assert given == [86400.0, 5.0]
