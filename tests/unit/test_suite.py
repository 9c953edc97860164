"""How the suite is run: its two parts, their slices, what runs beside what, and the times that this is planned by."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.preloaded import OFF
from tests.suite.durations import format_slowest, planned
from tests.suite.groups import key_of, total
from tests.suite.parts import choose_slice, parse_slice, plan_slices
from tests.suite.soaked import count_failures

ROOT = Path(__file__).parents[2]
SECONDS = {"a": 60.0, "b": 30.0, "c": 20.0, "d": 10.0}
TESTS = """
import pytest

def test_once(): pass

@pytest.mark.thorough
def test_again(): pass
"""


def collect(folder: Path, *arguments: str) -> list[str]:
    """Return the names of the tests of `TESTS` that pytest would run with these arguments."""
    conftest = "from tests.conftest import pytest_addoption, pytest_collection_modifyitems, pytest_configure"
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "--collect-only", "-q", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return [line.rpartition("::")[2] for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["."], ["test_once"]),
        (["--thorough", "."], ["test_once", "test_again"]),
        (["test_it.py"], ["test_once", "test_again"]),
        (["test_it.py::test_again"], ["test_again"]),
        (["--slice", "1/1", "."], ["test_again"]),
        (["--slice", "2/2", "."], []),
    ],
)
def test_thorough_tests_run_where_they_are_asked_for(tmp_path: Path, arguments: list[str], found: list[str]) -> None:
    assert collect(tmp_path, *arguments) == found


def test_slices_hold_everything_once_and_take_about_as_long() -> None:
    slices = plan_slices(SECONDS, 2, SECONDS)
    assert Counter(key for each in slices for key in each) == Counter(SECONDS.keys())
    assert [total(each, SECONDS) for each in slices] == [60.0, 60.0]


def test_each_slice_has_its_turn() -> None:
    assert {choose_slice(f"{number:040x}", 6) for number in range(100)} == {f"{number}/6" for number in range(1, 7)}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b"])
def test_a_slice_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_slice(text)


def test_times_are_kept_by_file_group_and_part() -> None:
    assert key_of("t/x.py::test", "t/x.py", thorough=False) == "t/x.py"
    assert key_of("t/x.py::test", "t/x.py::test", thorough=False) == "t/x.py::test"
    assert key_of("t/x.py::test[lxd]", "lxd", thorough=True) == "t/x.py@lxd (thorough)"


def test_what_is_planned_by_is_still_there() -> None:
    """Or planning is by the times of tests that are gone: scripts/test --durations --save."""
    files = {key.split("@")[0].split("::")[0].split(" ")[0] for key in planned()}
    assert {file for file in files if not (ROOT / file).is_file()} == set()


def test_the_slowest_come_first() -> None:
    assert format_slowest(SECONDS, 1) == ["    60.0 s  a", "   120.0 s  all"]


def test_failures_are_counted_over_runs(tmp_path: Path) -> None:
    bad = '<testsuites><testsuite><testcase classname="c" name="t"><failure/></testcase></testsuite></testsuites>'
    for number, text in enumerate((bad, bad.replace("failure", "error"), bad.replace("<failure/>", ""))):
        (tmp_path / f"{number}.xml").write_text(text)
    assert count_failures(tmp_path) == {"c::t": 2}


def test_servers_are_forked_but_in_the_thorough_part(pytestconfig: pytest.Config) -> None:
    """No module that was collected has turned it off for all: to import a server takes longer than most tests."""
    assert (OFF in os.environ) == bool(pytestconfig.getoption("thorough") or pytestconfig.getoption("slice"))
