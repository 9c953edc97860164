from datetime import UTC, datetime, timedelta

import pytest

from vendetta.coordination.operations.retry_rules import (
    build_late,
    build_left,
    build_unknown,
    build_waiting,
    pause_after,
)
from vendetta.errors import (
    AuthFailed,
    Busy,
    Cancelled,
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    EngineUnavailable,
    ForwardingRefused,
    HostKeyChanged,
    ImageNotFound,
    LinkTimeout,
    OutcomeUnknown,
    VendettaError,
    WrongState,
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
LOST = ConnectionLost("the link was lost", node="gpu", sent=True, link_lost=True)
HUNG = LinkTimeout("docker ps: not done after 60 s", node="gpu", sent=True, link_lost=False)


def seconds(error: VendettaError, number: int = 1, *, once: bool = False, retries: int = 2) -> float | None:
    return pause_after(error, number, once=once, retries=retries, pause=float)


@pytest.mark.parametrize("error", [UNSENT, LOST, ConnectionLost("lost", node="gpu")])
def test_a_lost_link_is_waited_for_however_often_it_fails(error: VendettaError) -> None:
    assert [seconds(error, number) for number in (1, 2, 500)] == [1, 2, 500]


@pytest.mark.parametrize("error", [HUNG, EngineUnavailable("no docker"), Busy("busy")])
def test_what_may_pass_is_tried_a_few_times(error: VendettaError) -> None:
    assert [seconds(error, number) for number in (1, 2, 3)] == [1, 2, None]
    assert seconds(error, retries=0) is None


@pytest.mark.parametrize(
    "error",
    [
        HostKeyChanged("changed", node="gpu", sent=False, link_lost=True),
        AuthFailed("refused", node="gpu", sent=False, link_lost=True),
        ForwardingRefused("no", node="gpu"),
        ImageNotFound("none"),
        WrongState("no"),
        VendettaError("what"),
    ],
)
def test_what_somebody_has_to_mend_fails_at_once(error: VendettaError) -> None:
    assert seconds(error) is None


def test_what_must_not_run_twice_is_tried_again_only_where_it_was_not_sent() -> None:
    assert seconds(UNSENT, once=True) == 1
    for error in (LOST, HUNG, EngineUnavailable("no docker"), ConnectionLost("lost", node="gpu")):
        assert seconds(error, once=True) is None


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
