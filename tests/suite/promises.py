"""`python -m tests.suite.promises`: in which part of the suite each promise of docs/reliability.md is held.

Writes the last column of its tables anew. tests/unit/test_promises.py fails where it isn't as it would be written.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
EVERY_RUN, MORE = "every run", "every run, more in the thorough part"
NOWHERE = "NOT HELD IN EVERY RUN"

Parts = Mapping[str, tuple[int, int]]
"""How many tests of each file every run has, and how many more the thorough part."""


@dataclass(frozen=True)
class Promise:
    line: int
    text: str
    held_by: tuple[str, ...]
    part: str


def promises(page: str) -> Iterator[Promise]:
    """Yield the rows of the tables headed `promise`, `held by`, `in`."""
    inside = False
    for number, line in enumerate(page.splitlines()):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == "promise":
            inside = True
        elif inside and not set(line) <= set("|- "):
            yield Promise(number, cells[0], tuple(paths(cells[1])), cells[2] if len(cells) > 2 else "")


def paths(cell: str) -> Iterator[str]:
    """Yield the files and folders that are named, as the project's root sees them."""
    for name in re.findall(r"`([^`]+)`", cell):
        yield name if name.startswith("tests/") else f"tests/{name}"


def part_of(promise: Promise, parts: Parts) -> str:
    """Return what the last column says of it."""
    counts = [count for file, count in parts.items() if any(Path(file).is_relative_to(it) for it in promise.held_by)]
    if not sum(plain for plain, _ in counts):
        return NOWHERE
    return MORE if sum(thorough for _, thorough in counts) else EVERY_RUN


def collect(files: list[str]) -> Parts:
    """Return the parts of the tests of these files and folders, as pytest finds them in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    [last] = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return {file: (plain, thorough) for file, (plain, thorough) in json.loads(last).items()}


class Counting:
    """A plugin of pytest's that prints `Parts` as JSON."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        parts: dict[str, list[int]] = {}
        for item in session.items:
            count = parts.setdefault(item.path.relative_to(ROOT).as_posix(), [0, 0])
            count[item.get_closest_marker("thorough") is not None] += 1
        print(f"\n{json.dumps(parts)}")


def main(arguments: list[str]) -> int:
    if arguments:
        options = ["--collect-only", "-qq", "--no-header", "--thorough", "-p", "no:cacheprovider"]
        return pytest.main([*options, *arguments], plugins=[Counting()])
    lines = PAGE.read_text().splitlines()
    found = list(promises(PAGE.read_text()))
    parts = collect(sorted({path for promise in found for path in promise.held_by}))
    for promise in found:
        cells = lines[promise.line].strip().strip("|").split("|")
        lines[promise.line] = f"|{cells[0]}|{cells[1]}| {part_of(promise, parts)} |"
    PAGE.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
