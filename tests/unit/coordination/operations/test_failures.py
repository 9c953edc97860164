from datetime import UTC, datetime, timedelta

from vendetta.coordination.operations.failures import (
    build_late,
    build_left,
    build_unknown,
    build_waiting,
)
from vendetta.errors import (
    Busy,
    Cancelled,
    ConnectFailed,
    DeadlineExceeded,
    ImageNotFound,
    OutcomeUnknown,
)
from vendetta.models import Operation, Progress

NOW = datetime(2026, 1, 1, 13, 3, tzinfo=UTC)
OPERATION = Operation(
    id="one",
    kind="workspace.start",
    target="web",
    state="running",
    actor="me",
    created_at=NOW,
    deadline=NOW + timedelta(hours=1),
)
UNSENT = ConnectFailed("no route to host", node="gpu", sent=False, link_lost=True)


def test_it_is_said_what_is_waited_for_and_until_when() -> None:
    assert build_waiting(UNSENT, OPERATION.deadline) == Progress(
        message="waiting for node gpu: no route to host; until 14:03 UTC", waiting_for="gpu"
    )
    assert build_waiting(Busy("it is busy"), None) == Progress(message="about to try again: it is busy")


def test_what_is_late_says_what_it_waited_for_and_what_it_left() -> None:
    late = build_late(OPERATION, "waiting for node gpu: no route to host", "it may run")
    assert late.message == (
        "workspace.start web: not done within 3600 s; it was waiting for node gpu: no route to host; it may run"
    )
    assert late.details == {"operation": "one", "left": "it may run"}


def test_what_was_given_up_says_what_it_left_behind() -> None:
    left = build_left(Cancelled("it was cancelled", hint="h", operation="one"), "web is running now")
    assert isinstance(left, Cancelled)
    assert (left.message, left.hint) == ("it was cancelled; web is running now", "h")
    assert left.details == {"operation": "one", "left": "web is running now"}
    for error, said in [(DeadlineExceeded("late"), None), (ImageNotFound("none"), "web is missing now")]:
        assert build_left(error, said) is error


def test_an_unknown_outcome_says_where_to_look() -> None:
    unknown = build_unknown(OPERATION, "execute", "the server ended", None)
    assert isinstance(unknown, OutcomeUnknown)
    assert "vendetta operation show one" in (unknown.hint or "")
    assert build_unknown(OPERATION, "execute", "the server ended", "look there").hint == "look there"
