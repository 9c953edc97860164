"""Operations of several replicas on one PostgreSQL: each is run by one of them, whoever is killed or restarted."""

import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from tests.integration.operations.small_replicas import PATIENCE_SECONDS, Replica, replicas

pytestmark = [pytest.mark.timeout(180), pytest.mark.alone]


def settle(replica: Replica) -> None:
    """Returns once nothing is unfinished."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while replica.say("unfinished") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def states(url: str) -> Counter[str]:
    with psycopg.connect(url) as connection:
        return Counter(row[0] for row in connection.execute("SELECT state FROM operations"))


def check_lanes(notes: Path) -> Counter[str]:
    """No two operations of one target at once, each step in its order. Returns how often each step was begun."""
    begun, running = Counter[str](), dict[str, str]()
    for line in notes.read_text().splitlines():
        what, target, key, step, _ = line.split()
        if what == "begin":
            assert running.get(target) in (None, key), f"{key} while {running[target]} runs"
            running[target] = key
            begun[f"{key} {step}"] += 1
        elif step == "two":
            running.pop(target, None)
    return begun


def test_two_replicas_run_each_operation_once_and_one_of_a_target_at_a_time(database_url: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with replicas(database_url, notes, 2) as both:
        for number in range(30):
            assert both[number % 2].submit(f"k{number}", f"t{number % 3}")
            assert both[(number + 1) % 2].submit(f"k{number}", f"t{number % 3}"), "the same key at the other one"
        settle(both[0])
    assert states(database_url) == {"succeeded": 30}
    begun = check_lanes(notes)
    assert len(begun) == 60
    assert set(begun.values()) == {1}


def test_what_a_killed_replica_held_is_claimed_by_one_of_the_others(database_url: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with replicas(database_url, notes, 3) as three:
        for number in range(24):
            assert three[0].submit(f"k{number}", f"t{number % 4}")
        three[0].kill()
        settle(three[1])
    assert states(database_url) == {"succeeded": 24}
    begun = check_lanes(notes)
    assert len(begun) == 48
    # of each target one step was interrupted at most, and was run again
    assert sum(count - 1 for count in begun.values()) <= 4


def test_a_rolling_restart_drops_none(database_url: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with replicas(database_url, notes, 2) as pair:
        for number in range(40):
            key, target = f"k{number}", f"t{number % 5}"
            # a client in small: it asks the next one where one is gone
            assert any(replica.submit(key, target) for replica in (pair[number % 2], pair[(number + 1) % 2]))
            if number in (10, 25):
                leaving = number % 2
                fresh = Replica(database_url, notes)
                pair[leaving].quit()
                pair[leaving] = fresh.ready()
        settle(pair[0])
    assert states(database_url) == {"succeeded": 40}
    begun = check_lanes(notes)
    assert len(begun) == 80
