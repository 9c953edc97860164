import pytest

from vendetta.coordination.retry_rules import pause_after
from vendetta.errors import (
    AuthFailed,
    Busy,
    ConnectFailed,
    ConnectionLost,
    EngineUnavailable,
    ForwardingRefused,
    HostKeyChanged,
    ImageNotFound,
    LinkTimeout,
    VendettaError,
    WrongState,
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
