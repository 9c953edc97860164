"""How long tests took: recorded by every run in pytest's cache, and kept in tests/durations.json for planning.

`python -m tests.suite.durations` shows those of the last run of each test; with `--save` it also writes them to
tests/durations.json.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.suite.groups import file_of
from tests.suite.schedule import KEYS

ROOT = Path(__file__).parents[2]
PLANNED = ROOT / "tests" / "durations.json"
CACHE = "vendetta/durations"
"""What pytest's cache keeps: the seconds of each test, by key and by test."""

WRITTEN_EVERY_SECONDS = 20.0
SLOWEST = 25
LEAST_SECONDS = 1.0
"""Shorter ones aren't kept in tests/durations.json: they don't matter to the plan."""

Recorded = dict[str, dict[str, float]]


def planned() -> dict[str, float]:
    """Return the seconds by key that runs are planned with."""
    found: dict[str, float] = json.loads(PLANNED.read_text()) if PLANNED.exists() else {}
    return found


class Durations:
    """A plugin of pytest's that records the run it is part of. Not for the workers of pytest-xdist."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recorded: Recorded = {}
        self._written = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add its set-up, its call and its tear-down."""
        key = self._config.stash.get(KEYS, {}).get(report.nodeid, file_of(report.nodeid))
        tests = self._recorded.setdefault(key, {})
        name = report.nodeid.split("::", 1)[-1]
        tests[name] = tests.get(name, 0.0) + report.duration
        if time.monotonic() - self._written > WRITTEN_EVERY_SECONDS:
            self.pytest_sessionfinish()

    def pytest_sessionfinish(self) -> None:
        """Write down what is known. A run that is killed has done so a while before."""
        self._written = time.monotonic()
        cache: pytest.Cache | None = getattr(self._config, "cache", None)
        if cache is not None and self._recorded:
            before: Recorded = cache.get(CACHE, {})
            cache.set(CACHE, {**before, **self._recorded})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the slowest where the whole suite was run."""
        if self._config.getoption("slowest"):
            terminalreporter.section("slowest groups")
            for line in format_slowest(sums(self._recorded)):
                terminalreporter.write_line(line)


def sums(recorded: Recorded) -> dict[str, float]:
    return {key: sum(tests.values()) for key, tests in recorded.items()}


def format_slowest(seconds: Mapping[str, float], count: int = SLOWEST) -> list[str]:
    """Return a line for each of the `count` slowest, and one for all."""
    lines = [f"{taken:8.1f} s  {key}" for key, taken in Counter(seconds).most_common(count)]
    return [*lines, f"{sum(seconds.values()):8.1f} s  all"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/test --durations", description="How long the tests took.")
    parser.add_argument("--save", action="store_true", help="plan with these from now on (tests/durations.json)")
    parser.add_argument("--count", type=int, default=SLOWEST, help="how many are shown")
    arguments = parser.parse_args()
    file = ROOT / ".pytest_cache" / "v" / CACHE
    seconds = sums(json.loads(file.read_text())) if file.exists() else {}
    print("\n".join(format_slowest(seconds or planned(), arguments.count)))
    if arguments.save and seconds:
        kept = {key: round(taken, 1) for key, taken in sorted(seconds.items()) if taken >= LEAST_SECONDS}
        PLANNED.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
