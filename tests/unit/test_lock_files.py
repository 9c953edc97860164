"""The lock files that `scripts/lock` writes: all that pyproject.toml asks for, by hash, and what the tests run with."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
DEV = PROJECT["dependency-groups"]["dev"]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    requirement: Requirement  # name==version, with its marker
    hashes: list[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return next(iter(self.requirement.specifier)).version

    @property
    def here(self) -> bool:
        """Whether this interpreter on this platform needs it."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def read_entries(part: str) -> Iterator[Entry]:
    """Yield the entries of requirements/`part`.txt."""
    text = re.sub(r"#.*\n", "", (ROOT / f"requirements/{part}.txt").read_text())
    for line in text.replace("\\\n", "").splitlines():
        requirement, *hashes = re.split(r"\s+(?=--)", line.strip())
        yield Entry(Requirement(requirement), hashes)


LOCKED = {part: list(read_entries(part)) for part in ("run", "dev")}
ALL = LOCKED["run"] + LOCKED["dev"]
HERE = {entry.name: entry.version for entry in ALL if entry.here}


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: str(entry.requirement))
def test_each_entry_is_one_version_with_its_hashes(entry: Entry) -> None:
    assert [specifier.operator for specifier in entry.requirement.specifier] == ["=="]
    assert not entry.version.endswith("*")
    assert entry.hashes
    assert all(HASH.fullmatch(each) for each in entry.hashes)


@pytest.mark.parametrize("part", LOCKED)
def test_no_address_stands_in_a_lock_file(part: str) -> None:
    assert all(entry.requirement.url is None for entry in LOCKED[part])
    text = (ROOT / f"requirements/{part}.txt").read_text()
    assert not re.search(r"://|@|/(?!lock\b)|^\s*-(?!-hash=)", text, re.MULTILINE)


def test_an_entry_stands_in_one_file() -> None:
    entries = [str(entry.requirement) for entry in ALL]
    assert sorted(entries) == sorted(set(entries))


@pytest.mark.parametrize(("part", "wanted"), [*(("run", each) for each in RUN), *(("dev", each) for each in DEV)])
def test_what_pyproject_asks_for_is_locked(part: str, wanted: str) -> None:
    """What vendetta itself runs with must be in run.txt: without --dev, setup reads nothing else."""
    requirement = Requirement(wanted)
    entries = LOCKED["run"] if part == "run" else ALL
    versions = [entry.version for entry in entries if entry.name == canonicalize_name(requirement.name)]
    assert versions, f"{wanted} isn't locked: scripts/lock --keep"
    assert all(requirement.specifier.contains(each) for each in versions), f"{wanted}: scripts/lock --keep"


def test_only_what_something_needs_is_locked() -> None:
    """Also what each package needs in turn, with its extras."""
    needed: set[tuple[str, str]] = set()
    left = [Requirement(each) for each in RUN + DEV]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in needed:
                needed.add((name, extra))
                parts = map(Requirement, requires(name) or [])
                left += [each for each in parts if not each.marker or each.marker.evaluate({"extra": extra})]
    assert {name for name, _ in needed} == set(HERE), "scripts/lock --keep"


@pytest.mark.parametrize("name", HERE)
def test_the_tests_run_with_what_is_locked(name: str) -> None:
    try:
        installed = version(name)
    except PackageNotFoundError:
        installed = "none"
    assert installed == HERE[name], "scripts/setup --dev installs what is locked"
