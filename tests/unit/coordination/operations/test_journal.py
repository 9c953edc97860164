"""What is written of an operation, and what is told of that: both, or neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.models import Event, Operation
from vendetta.store import Store, StoreUnavailable
from vendetta.store.events import Events as StoredEvents


async def do(steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
    return given


async def run(store: Store, heard: list[Event]) -> Operation:
    """One to its end, or to where the process gives it up."""
    async with Events(store) as events:
        events.on_event(heard.append)
        operations = Operations(store, events)
        operations.register("thing.do", do)
        async with operations:
            unfinished = await store.operations.unfinished()
            operation = unfinished[0] if unfinished else await operations.submit(Ask("test"), "thing.do", "a", {})
            async for _ in operations.watch(operation.id):
                pass
            return await store.operations.get(operation.id)


def fail_once(monkeypatch: pytest.MonkeyPatch, kind: str, error: Callable[[], Exception]) -> None:
    """When the row of that change is written, and its event not yet."""
    append, failed = StoredEvents.append, False

    async def failing(events: StoredEvents, told: str, *about: Any) -> Event:
        nonlocal failed
        if told == f"operation.{kind}" and not failed:
            failed = True
            raise error()
        return await append(events, told, *about)

    monkeypatch.setattr(StoredEvents, "append", failing)


async def told(store: Store) -> list[str]:
    return [event.kind.removeprefix("operation.") for event in (await store.events.list()).items]


@pytest.mark.parametrize("kind", ["started", "succeeded"])
async def test_a_store_that_fails_in_between_has_neither_and_gets_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    heard: list[Event] = []
    fail_once(monkeypatch, kind, lambda: StoreUnavailable("for a moment"))
    async with Store.open(str(tmp_path / "state.db")) as store:
        operation = await run(store, heard)
        assert (operation.state, operation.attempts) == ("succeeded", 1)
        assert await told(store) == ["started", "succeeded"]
    assert [event.kind for event in heard] == ["operation.started", "operation.succeeded"]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("started", ("pending", []), ["started", "succeeded"]),
        ("succeeded", ("running", ["started"]), ["started", "started", "succeeded"]),
    ],
)
async def test_what_can_not_be_told_is_not_written_and_the_next_process_does_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, before: tuple[str, list[str]], after: list[str]
) -> None:
    heard: list[Event] = []
    fail_once(monkeypatch, kind, lambda: RuntimeError("nobody thought of it"))
    async with Store.open(str(tmp_path / "state.db")) as store:
        with capture_logs():
            left = await run(store, heard)
        assert (left.state, await told(store)) == before
        assert len(heard) == len(before[1])
        ended = await run(store, heard)
        assert (ended.state, await told(store)) == ("succeeded", after)
