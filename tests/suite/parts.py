"""The two parts of the suite: what every run proves, and what `--thorough` and the slices of it add.

A test marked `thorough` proves again, in another variation, what the rest of the suite proves once. It is run where
`--thorough` is given, in its slice, and where its file or the test itself is named on the command line.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.suite.groups import item_key


def parse_slice(text: str) -> tuple[int, int]:
    """Return (number, count) of "NUMBER/COUNT", with 1 <= number <= count. Raises `ValueError`."""
    number, count = (int(part) for part in text.split("/"))
    if not 1 <= number <= count:
        raise ValueError(text)
    return number, count


def choose_slice(commit: str, count: int) -> str:
    """Return "NUMBER/COUNT" for a commit, so that each slice has its turn."""
    return f"{int(hashlib.sha256(commit.encode()).hexdigest(), 16) % count + 1}/{count}"


def plan_slices(keys: Iterable[str], count: int, seconds: Mapping[str, float]) -> list[set[str]]:
    """Share keys out over `count` slices that take about the same time. Each key is in exactly one."""
    slices: list[set[str]] = [set() for _ in range(count)]
    loads = [0.0] * count
    for key in sorted(keys, key=lambda key: (-seconds.get(key, 1.0), key)):
        shortest = loads.index(min(loads))
        slices[shortest].add(key)
        loads[shortest] += seconds.get(key, 1.0)
    return slices


def is_named(item: pytest.Item, arguments: Sequence[str], directory: Path) -> bool:
    """Whether the item's file, or the test itself, is named by an argument of pytest's (a folder doesn't count)."""
    for argument in arguments:
        name = argument.split("::", 1)[0]
        if name.endswith(".py") and (directory / name).resolve() == item.path:
            return True
    return False


def select(config: pytest.Config, items: list[pytest.Item], seconds: Mapping[str, float]) -> None:
    """Deselect what isn't of the part that was asked for."""
    if config.getoption("thorough"):
        return
    thorough = [item for item in items if item.get_closest_marker("thorough")]
    if chosen := config.getoption("slice"):
        number, count = parse_slice(chosen)
        keys = plan_slices({item_key(item) for item in thorough}, count, seconds)[number - 1]
        kept = {item for item in thorough if item_key(item) in keys}
    else:
        directory = config.invocation_params.dir
        named = {item for item in thorough if is_named(item, config.args, directory)}
        kept = (set(items) - set(thorough)) | named
    if left_out := [item for item in items if item not in kept]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item in kept]


if __name__ == "__main__":
    print(choose_slice(sys.argv[1], int(sys.argv[2])))
