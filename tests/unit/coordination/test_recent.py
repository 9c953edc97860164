from datetime import UTC, datetime

from vendetta.coordination.events import Recent
from vendetta.models import Event


def build_event(sequence: int) -> Event:
    return Event(sequence=sequence, time=datetime.now(UTC), kind="a.b", subject="x", actor="me")


def read(recent: Recent, since: int) -> list[int] | None:
    """All above `since`; None where that isn't known."""
    if not recent.knows(since):
        return None
    found = []
    while event := recent.after(since):
        found.append(since := event.sequence)
    return found


def test_nothing_is_known_before_something_was_heard() -> None:
    recent = Recent(3)
    assert read(recent, 0) is read(recent, 100) is None


def test_the_first_that_is_heard_says_nothing_of_those_before_it() -> None:
    recent = Recent(3)
    recent.add(build_event(5))
    assert [read(recent, since) for since in (3, 4, 5, 6)] == [None, [5], [], []]


def test_numbers_may_be_left_out_and_the_oldest_make_room() -> None:
    recent = Recent(3)
    for sequence in (2, 5, 6, 9):
        recent.add(build_event(sequence))
    assert [read(recent, since) for since in (1, 2, 3, 5, 7, 9)] == [None, [5, 6, 9], [5, 6, 9], [6, 9], [9], []]


def test_what_is_heard_again_is_held_once() -> None:
    recent = Recent(3)
    for sequence in (2, 3, 2, 3, 4):
        recent.add(build_event(sequence))
    recent.leave_out(3)
    assert read(recent, 1) == [2, 3, 4]


def test_who_has_not_seen_one_that_is_not_held_finds_nothing_here() -> None:
    recent = Recent(3)
    recent.add(build_event(2))
    recent.leave_out(3)
    assert [read(recent, since) for since in (1, 2, 3)] == [None, None, []]
    recent.add(build_event(4))
    assert [read(recent, since) for since in (2, 3)] == [None, [4]]


def test_after_a_gap_it_begins_anew() -> None:
    recent = Recent(3)
    recent.add(build_event(2))
    recent.forget()
    assert read(recent, 2) is None
    recent.add(build_event(4))
    assert [read(recent, since) for since in (2, 3)] == [None, [4]]
