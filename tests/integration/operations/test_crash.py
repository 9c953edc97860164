"""What becomes of operations when the process is killed: each goes on where it was, and ends once."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from vendetta.client.state_archive import back_up, restore
from vendetta.models import Operation
from vendetta.store import Store
from vendetta.store.schema import HEAD

WORKER = Path(__file__).with_name("worker.py")
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """What a worker and the next one have in common: where the state is, and a folder for what was done."""

    folder: Path
    location: str


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    sqlite = request.param == "sqlite"
    return Place(tmp_path, str(tmp_path / "state.db") if sqlite else request.getfixturevalue("database_url"))


def run_until_killed(place: Place, point: str, *options: str) -> None:
    command = [sys.executable, str(WORKER), str(place.folder), place.location, "--stop-at", point, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == f"{point}\n"
        finally:
            process.kill()


def run_to_the_end(place: Place, *options: str) -> list[Operation]:
    command = [sys.executable, str(WORKER), str(place.folder), place.location, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_SECONDS)
    return [msgspec.json.decode(line, type=Operation) for line in done.stdout.splitlines()]


async def read_told(place: Place) -> tuple[str, list[str]]:
    """The state of the only operation, and what was told of it."""
    async with Store.open(place.location) as store:
        [operation] = (await store.operations.list()).items
        told = (await store.events.list()).items
    return operation.state, [event.kind.removeprefix("operation.") for event in told]


def read_done(place: Place) -> list[str]:
    return (place.folder / "done").read_text().splitlines()


@pytest.mark.parametrize(
    ("point", "done"),
    [
        ("after one", ["a one", "a two", "a three"]),
        ("in two", ["a one", "a two", "a two", "a three"]),
        ("after three", ["a one", "a two", "a three"]),
    ],
)
def test_finished_steps_ran_once_and_the_interrupted_one_again(place: Place, point: str, done: list[str]) -> None:
    run_until_killed(place, point, "--submit", "thing.three:a")
    [operation] = run_to_the_end(place)
    assert read_done(place) == done
    assert (operation.state, operation.attempts) == ("succeeded", 2)
    assert operation.result == {"values": ["did one", "did two", "did three"], "by": "worker"}
    assert run_to_the_end(place) == [operation]
    assert read_done(place) == done


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("started", ("pending", []), ["started", "succeeded"]),
        ("succeeded", ("running", ["started"]), ["started", "started", "succeeded"]),
    ],
)
def test_a_change_and_the_event_that_tells_of_it_are_written_together(
    place: Place, kind: str, before: tuple[str, list[str]], after: list[str]
) -> None:
    """It is killed when the one is written, and the other not yet."""
    run_until_killed(place, f"before operation.{kind}", "--submit", "thing.three:a")
    assert asyncio.run(read_told(place)) == before
    run_to_the_end(place)
    assert asyncio.run(read_told(place)) == ("succeeded", after)


def test_killed_twice_it_still_ends_once(place: Place) -> None:
    run_until_killed(place, "in one", "--submit", "thing.three:a")
    run_until_killed(place, "in three")
    [operation] = run_to_the_end(place)
    assert read_done(place) == ["a one", "a one", "a two", "a three", "a three"]
    assert (operation.state, operation.attempts) == ("succeeded", 3)


def test_what_was_recorded_and_never_begun_is_begun_in_its_order(place: Place) -> None:
    submissions = ["--submit", "thing.three:a", "--submit", "thing.three:a", "--submit", "thing.undone:a"]
    run_until_killed(place, "after one", *submissions)
    operations = run_to_the_end(place)
    assert read_done(place) == ["a one", "a two", "a three", "a one", "a two", "a three", "a long"]
    assert [(operation.state, operation.attempts) for operation in operations] == [
        ("succeeded", 2),
        ("succeeded", 1),
        ("succeeded", 1),
    ]


def test_different_targets_are_all_resumed(place: Place) -> None:
    run_until_killed(place, "in two", "--submit", "thing.three:a", "--submit", "thing.undone:b")
    assert {operation.state for operation in run_to_the_end(place)} == {"succeeded"}


def test_a_failure_is_the_same_failure_after_a_crash(place: Place) -> None:
    run_until_killed(place, "in mend somebody", "--submit", "thing.failing:a")
    [operation] = run_to_the_end(place)
    assert read_done(place) == ["a fail", "a mend somebody", "a mend somebody"]
    assert operation.state == "failed"
    assert operation.error
    assert (operation.error.code, operation.error.hint, operation.error.details) == (
        "wrong_state",
        "wait",
        {"by": ["somebody"]},
    )


def test_a_cancel_is_not_forgotten(place: Place) -> None:
    run_until_killed(place, "in undo", "--submit", "thing.undone:a", "--cancel-at", "in long")
    [operation] = run_to_the_end(place)
    assert read_done(place) == ["a long", "a undo", "a undo"]
    assert operation.state == "cancelled"


def test_an_operation_of_a_backup_is_gone_on_with_where_it_is_restored(tmp_path: Path) -> None:
    place, restored = (
        Place(tmp_path, str(tmp_path / "state.db")),
        Place(tmp_path / "other", str(tmp_path / "other/x.db")),
    )
    run_until_killed(place, "in two", "--submit", "thing.three:a")
    back_up(Path(place.location), tmp_path / "backup.tar")
    run_to_the_end(place)
    restore(tmp_path / "backup.tar", Path(restored.location), newest_schema=HEAD)
    [operation] = run_to_the_end(restored)
    assert operation.state == "succeeded"
    assert read_done(restored) == ["a two", "a three"]
