"""Operations that another replica holds: watched, waited for and cancelled all the same, and taken over in time."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operations.small_replicas import PATIENCE_SECONDS, Replica, replicas

TICK_SECONDS = 0.05
PROMISED_SECONDS = 15.0
"""Within which what a killed replica held goes on elsewhere."""

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]

Pair = list[Replica]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def pair(database_url: str, notes: Path) -> Iterator[Pair]:
    with replicas(database_url, notes, 2) as pair:
        yield pair


def release(notes: Path, key: str) -> None:
    (notes.parent / key).touch()


def wait_for_note(notes: Path, what: str, key: str, step: str, by: Replica) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_noted(notes, what, key, step, by):
        assert time.monotonic() < deadline, notes.exists() and notes.read_text()
        time.sleep(TICK_SECONDS)


def is_noted(notes: Path, what: str, key: str, step: str, by: Replica) -> bool:
    lines = notes.read_text().splitlines() if notes.exists() else []
    return f"{what} t {key} {step} {by.process.pid}" in lines


def test_its_progress_and_its_end_are_told_where_it_is_not_held(pair: Pair, notes: Path) -> None:
    holder, other = pair
    made = holder.hold("k", "t")
    assert other.say(f"watch {made} holding") == "holding"
    other.tell(f"wait {made}")
    release(notes, "k")
    assert other.read() == "succeeded"


def test_it_is_cancelled_where_it_is_not_held(pair: Pair, notes: Path) -> None:
    """Its holder stops it and undoes it, once."""
    holder, other = pair
    made = holder.hold("k", "t")
    wait_for_note(notes, "begin", "k", "hold", by=holder)
    assert other.say(f"cancel {made}") == "running"
    assert other.say(f"wait {made}") == "cancelled"
    assert [line.split()[3:] for line in notes.read_text().splitlines()] == [
        ["hold", str(holder.process.pid)],
        ["undo", str(holder.process.pid)],
    ]
    assert other.say(f"cancel {made}") == "cancelled"


def test_one_that_waits_for_its_turn_is_cancelled_where_it_is_not_held(pair: Pair, notes: Path) -> None:
    holder, other = pair
    running, waiting = holder.hold("k", "t"), holder.hold("later", "t")
    wait_for_note(notes, "begin", "k", "hold", by=holder)
    assert other.say(f"cancel {waiting}") == "pending"
    assert other.say(f"wait {waiting}") == "cancelled"
    release(notes, "k")
    assert other.say(f"wait {running}") == "succeeded"
    assert "later" not in notes.read_text()


def test_what_a_killed_one_held_goes_on_elsewhere_within_the_time_promised(pair: Pair, notes: Path) -> None:
    """And who watched it at the other one goes on watching it."""
    holder, other = pair
    made = holder.hold("k", "t")
    wait_for_note(notes, "begin", "k", "hold", by=holder)
    other.tell(f"watch {made} succeeded")
    killed_at = time.monotonic()
    holder.kill()
    wait_for_note(notes, "begin", "k", "hold", by=other)
    assert time.monotonic() - killed_at < PROMISED_SECONDS
    release(notes, "k")
    assert other.read() == "succeeded"


def test_a_cancel_is_not_forgotten_where_the_holder_is_gone_before_it_hears(pair: Pair, notes: Path) -> None:
    holder, other = pair
    made = holder.hold("k", "t")
    wait_for_note(notes, "begin", "k", "hold", by=holder)
    holder.pause()
    assert other.say(f"cancel {made}") == "running"
    holder.kill()
    assert other.say(f"wait {made}") == "cancelled"
    assert is_noted(notes, "end", "k", "undo", by=other)
    assert not is_noted(notes, "begin", "k", "hold", by=other)
