"""What becomes of operations when the process is killed: each goes on where it was, and ends once."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from vendetta.models import Operation

WORKER = Path(__file__).with_name("worker.py")
PATIENCE_SECONDS = 60


def run_until_killed(folder: Path, point: str, *options: str) -> None:
    command = [sys.executable, str(WORKER), str(folder), "--stop-at", point, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"{point}\n"
        finally:
            process.kill()


def run_to_the_end(folder: Path, *options: str) -> list[Operation]:
    command = [sys.executable, str(WORKER), str(folder), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_SECONDS)
    return [msgspec.json.decode(line, type=Operation) for line in done.stdout.splitlines()]


def read_done(folder: Path) -> list[str]:
    return (folder / "done").read_text().splitlines()


@pytest.mark.parametrize(
    ("point", "done"),
    [
        ("after one", ["a one", "a two", "a three"]),
        ("in two", ["a one", "a two", "a two", "a three"]),
        ("after three", ["a one", "a two", "a three"]),
    ],
)
def test_finished_steps_ran_once_and_the_interrupted_one_again(tmp_path: Path, point: str, done: list[str]) -> None:
    run_until_killed(tmp_path, point, "--submit", "thing.three:a")
    [operation] = run_to_the_end(tmp_path)
    assert read_done(tmp_path) == done
    assert (operation.state, operation.attempts) == ("succeeded", 2)
    assert operation.result == {"values": ["did one", "did two", "did three"], "by": "worker"}
    assert run_to_the_end(tmp_path) == [operation]
    assert read_done(tmp_path) == done


def test_killed_twice_it_still_ends_once(tmp_path: Path) -> None:
    run_until_killed(tmp_path, "in one", "--submit", "thing.three:a")
    run_until_killed(tmp_path, "in three")
    [operation] = run_to_the_end(tmp_path)
    assert read_done(tmp_path) == ["a one", "a one", "a two", "a three", "a three"]
    assert (operation.state, operation.attempts) == ("succeeded", 3)


def test_what_was_recorded_and_never_begun_is_begun_in_its_order(tmp_path: Path) -> None:
    submissions = ["--submit", "thing.three:a", "--submit", "thing.three:a", "--submit", "thing.undone:a"]
    run_until_killed(tmp_path, "after one", *submissions)
    operations = run_to_the_end(tmp_path)
    assert read_done(tmp_path) == ["a one", "a two", "a three", "a one", "a two", "a three", "a long"]
    assert [(operation.state, operation.attempts) for operation in operations] == [
        ("succeeded", 2),
        ("succeeded", 1),
        ("succeeded", 1),
    ]


def test_different_targets_are_all_resumed(tmp_path: Path) -> None:
    run_until_killed(tmp_path, "in two", "--submit", "thing.three:a", "--submit", "thing.undone:b")
    assert {operation.state for operation in run_to_the_end(tmp_path)} == {"succeeded"}


def test_a_failure_is_the_same_failure_after_a_crash(tmp_path: Path) -> None:
    run_until_killed(tmp_path, "in mend somebody", "--submit", "thing.failing:a")
    [operation] = run_to_the_end(tmp_path)
    assert read_done(tmp_path) == ["a fail", "a mend somebody", "a mend somebody"]
    assert operation.state == "failed"
    assert operation.error
    assert (operation.error.code, operation.error.hint, operation.error.details) == (
        "busy",
        "wait",
        {"by": ["somebody"]},
    )


def test_a_cancel_is_not_forgotten(tmp_path: Path) -> None:
    run_until_killed(tmp_path, "in undo", "--submit", "thing.undone:a", "--cancel-at", "in long")
    [operation] = run_to_the_end(tmp_path)
    assert read_done(tmp_path) == ["a long", "a undo", "a undo"]
    assert operation.state == "cancelled"
