"""Tests that one worker runs one after the other, because they share what is slow to start.

A group is named by the marker `xdist_group` (the contract's sites have one each). A test marked `alone` is a group of
its own. Every other test belongs to the group of its file.
"""

from collections.abc import Iterable, Mapping

import pytest

THOROUGH = " (thorough)"


def group_of(item: pytest.Item) -> str:
    """Return the name of the item's group."""
    if marker := item.get_closest_marker("xdist_group"):
        return str(marker.args[0])
    return item.nodeid if item.get_closest_marker("alone") else file_of(item.nodeid)


def file_of(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def key_of(nodeid: str, group: str, thorough: bool) -> str:
    """Return what the test's time is recorded under: its file, and its group and part where those are special."""
    key = group if group.startswith(file_of(nodeid)) else f"{file_of(nodeid)}@{group}"
    return key + THOROUGH * thorough


def item_key(item: pytest.Item) -> str:
    return key_of(item.nodeid, group_of(item), item.get_closest_marker("thorough") is not None)


def sort_by_time(items: list[pytest.Item], seconds: Mapping[str, float]) -> None:
    """Put groups together, the longest first. A group that was never run is taken for a short one."""
    keys: dict[str, set[str]] = {}
    for item in items:
        keys.setdefault(group_of(item), set()).add(item_key(item))
    longest = sorted(keys, key=lambda group: (-total(keys[group], seconds), group))
    places = {group: place for place, group in enumerate(longest)}
    items.sort(key=lambda item: places[group_of(item)])


def total(keys: Iterable[str], seconds: Mapping[str, float]) -> float:
    return sum(seconds.get(key, 1.0) for key in keys)
