"""When a node that failed is tried again by itself: a rule without a clock of its own."""

from datetime import UTC, datetime, timedelta

import pytest

from vendetta.errors import AuthFailed, HostKeyChanged, LinkTimeout
from vendetta.ssh.breaker import LONGEST_SECONDS, PROVEN_SECONDS, Breaker, build_pause

ERROR = LinkTimeout("no answer in time")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock, lambda: 0.5)


def test_it_is_closed_as_long_as_nothing_fails(breaker: Breaker) -> None:
    breaker.trying()
    breaker.succeeded()
    shown = breaker.snapshot
    assert (shown.state, shown.failures, shown.next_try, shown.error) == ("closed", 0, None, None)


def test_a_failure_opens_it_and_a_try_half_opens_it(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(ERROR)
    shown = breaker.snapshot
    assert (shown.state, shown.failures, shown.error) == ("open", 1, "no answer in time")
    assert shown.next_try is not None
    assert timedelta(0) < shown.next_try - datetime.now(UTC) <= timedelta(seconds=1)
    breaker.trying()
    assert breaker.snapshot.state == "half_open"
    breaker.succeeded()
    assert breaker.snapshot.state == "closed"


def test_each_failure_waits_twice_as_long_up_to_a_minute(breaker: Breaker) -> None:
    waits = []
    for _ in range(9):
        breaker.trying()
        breaker.failed(ERROR)
        waits.append(breaker.wait_seconds())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert build_pause(10**6, 1.0) <= 1.3 * LONGEST_SECONDS


def test_those_that_failed_together_are_not_tried_together() -> None:
    assert [round(build_pause(3, chance), 3) for chance in (0.0, 0.5, 1.0)] == [2.8, 4.0, 5.2]


def test_the_wait_runs_out(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(ERROR)
    clock.pass_(0.4)
    assert breaker.wait_seconds() == pytest.approx(0.6)
    clock.pass_(10)
    assert breaker.wait_seconds() == 0


@pytest.mark.parametrize("error", [AuthFailed("refused"), HostKeyChanged("changed")])
def test_what_somebody_must_decide_is_not_tried_by_itself(breaker: Breaker, error: AuthFailed) -> None:
    breaker.failed(error)
    assert (breaker.state, breaker.snapshot.next_try, breaker.wait_seconds()) == ("open", None, None)


def test_a_try_that_was_called_off_counts_for_nothing(breaker: Breaker) -> None:
    breaker.failed(ERROR)
    before = breaker.snapshot
    breaker.trying()
    breaker.gave_up()
    assert breaker.snapshot == before


def test_a_link_that_flaps_is_tried_less_and_less(breaker: Breaker, clock: Clock) -> None:
    waits = []
    for _ in range(4):
        breaker.succeeded()
        clock.pass_(1)
        breaker.failed(ERROR)
        waits.append(breaker.wait_seconds())
    assert waits == [1, 2, 4, 8]


def test_a_link_that_stood_for_a_while_begins_anew(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed(ERROR)
    breaker.succeeded()
    clock.pass_(PROVEN_SECONDS)
    breaker.failed(ERROR)
    assert breaker.snapshot.failures == 1
