"""When a node that doesn't answer is offline: a rule with no clock but the one given."""

import pytest

from vendetta.coordination.monitoring.silence import FEWEST_FAILURES, Silence

TIMEOUT = 30.0


def silence_of(failures: int, *, began: float) -> Silence:
    silence = Silence(0.0)
    for _ in range(failures):
        silence.failed(began, "no answer")
    return silence


def test_it_takes_several_failures_however_long_they_take() -> None:
    assert not silence_of(FEWEST_FAILURES - 1, began=0.0).is_over(10_000.0, TIMEOUT)
    assert silence_of(FEWEST_FAILURES, began=0.0).is_over(TIMEOUT, TIMEOUT)


def test_it_takes_the_time_however_many_failures_there_are() -> None:
    assert not silence_of(100, began=0.0).is_over(TIMEOUT - 0.1, TIMEOUT)


def test_the_time_begins_when_somebody_asked_in_vain() -> None:
    silence = silence_of(FEWEST_FAILURES, began=500.0)
    assert not silence.is_over(500.0 + TIMEOUT - 0.1, TIMEOUT)
    assert silence.is_over(500.0 + TIMEOUT, TIMEOUT)


def test_one_answer_begins_it_anew() -> None:
    silence = silence_of(FEWEST_FAILURES, began=0.0)
    silence.told = True
    silence.answered(100.0)
    assert not silence.told
    silence.failed(101.0, "no answer")
    assert not silence.is_over(1000.0, TIMEOUT)


@pytest.mark.parametrize(("questions", "over"), [(FEWEST_FAILURES - 1, False), (FEWEST_FAILURES, True)])
def test_on_a_link_that_stands_unanswered_questions_count(questions: int, over: bool) -> None:
    silence = Silence(0.0)
    silence.unanswered(100.0, questions, "asked in vain")
    assert silence.is_over(100.0 + TIMEOUT, TIMEOUT) == over
    silence.unanswered(100.0, questions, "asked in vain")
    assert silence.failures == questions
