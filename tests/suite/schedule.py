"""Hands groups of tests to the workers of pytest-xdist, the longest first.

Its own `--dist loadgroup` finds no groups with pytest 9.2, which no longer lets it change the names of tests.
"""

import json
import os
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import pytest
from tests.suite.groups import group_of, item_key
from xdist.scheduler import LoadScopeScheduling

GROUPS = pytest.StashKey[dict[str, str]]()
"""The group of each test, by name."""

KEYS = pytest.StashKey[dict[str, str]]()
"""What the time of each test is recorded under, by its name."""

INPUT = "vendetta_groups"
FILE = pytest.StashKey[str]()


class Groups:
    """A plugin of pytest's: workers write down what they collected, and the process that leads them reads it."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where to write. (Of pytest-xdist, in the process that leads.)"""
        if FILE not in node.config.stash:
            handle, node.config.stash[FILE] = mkstemp(prefix="vendetta-groups-")
            os.close(handle)
        node.workerinput[INPUT] = node.config.stash[FILE]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> "GroupScheduling | None":
        return None if config.getoption("dist") == "each" else GroupScheduling(config, log)

    @pytest.hookimpl(tryfirst=True)  # before the names of the tests are sent to the process that leads
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        config = session.config
        config.stash[GROUPS] = {item.nodeid: group_of(item) for item in session.items}
        config.stash[KEYS] = {item.nodeid: item_key(item) for item in session.items}
        if hasattr(config, "workerinput"):
            path = Path(config.workerinput[INPUT])
            mine = path.with_suffix(f".{os.getpid()}")  # they all write the same, each at once and whole
            mine.write_text(json.dumps([config.stash[GROUPS], config.stash[KEYS]]))
            mine.replace(path)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        if path := config.stash.get(FILE, None):
            Path(path).unlink(missing_ok=True)


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the order in which the workers have the tests, and a group together."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def schedule(self) -> None:
        if GROUPS not in self.config.stash:
            groups, keys = json.loads(Path(self.config.stash[FILE]).read_text())
            self.config.stash[GROUPS], self.config.stash[KEYS] = groups, keys
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self.config.stash[GROUPS].get(nodeid, nodeid)
