"""Stopping beside somebody who stops the same: the daemon's answers are as Incus 6.0 gives them then."""

from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from vendetta.providers.lxc.daemon import states
from vendetta.providers.lxc.daemon.errors import Refused
from vendetta.providers.lxc.daemon.lookup import Found
from vendetta.providers.lxc.daemon.states import States

RUNNING, STOPPED = 103, 102


class Daemon:
    """`seen` are the status codes and last power states that are read, one after another; the last one stays."""

    node = "gpu"

    def __init__(self, *seen: tuple[int, str], refusals: list[str]) -> None:
        self.seen = list(seen)
        self._refusals = refusals
        self.asked: list[Mapping[str, Any]] = []

    @asynccontextmanager
    async def doing(self, what: str) -> Any:
        yield

    async def change(self, method: str, path: str, *, params: Mapping[str, str], json: Mapping[str, Any]) -> None:
        self.asked.append(json)
        if self._refusals:
            raise Refused(400, self._refusals.pop(0))

    async def wait_for_others(self, project: str, engine_name: str) -> None:
        """Their operations have ended, which doesn't say that the instance is put away."""

    async def find(self, path: str, **params: str) -> Mapping[str, Any]:
        code, power = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        config = {"volatile.last_state.power": power}
        return {"name": "web", "status_code": code, "last_used_at": "2026", "config": config, "devices": {}}

    async def lookup(self, name: str) -> Found:
        return Found(await self.find(name))


class Lookup:
    def __init__(self, daemon: Daemon) -> None:
        self.find = self.lookup = daemon.lookup


async def stop(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "LOOK_SECONDS", 0.0)
    await States(daemon, Lookup(daemon)).stop("web", 5.0)  # type: ignore[arg-type]


async def test_it_is_stopped_once_it_is_put_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes have ended, the daemon hasn't noticed, and calls it running once more when it does."""
    daemon = Daemon(
        (RUNNING, "RUNNING"),
        (STOPPED, "RUNNING"),
        (STOPPED, "RUNNING"),
        (STOPPED, "RUNNING"),
        (STOPPED, "STOPPED"),
        refusals=["The container is not running"],
    )
    await stop(daemon, monkeypatch)
    assert daemon.seen == [(STOPPED, "STOPPED")]
    assert [asked["force"] for asked in daemon.asked] == [False]


async def test_one_that_runs_on_is_stopped_again(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(
        (RUNNING, "RUNNING"),
        (RUNNING, "RUNNING"),
        (RUNNING, "RUNNING"),
        (RUNNING, "RUNNING"),
        (STOPPED, "STOPPED"),
        refusals=['Failed stopping instance, status is "Running"'],
    )
    await stop(daemon, monkeypatch)
    assert [asked["force"] for asked in daemon.asked] == [False, False]


async def test_one_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon((RUNNING, "RUNNING"), refusals=["context deadline exceeded"])
    await stop(daemon, monkeypatch)
    assert [asked["force"] for asked in daemon.asked] == [False, True]


async def test_it_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash of the node the last state that was written is that it runs."""
    daemon = Daemon((RUNNING, "RUNNING"), (STOPPED, "RUNNING"), refusals=["is not running"])
    await stop(daemon, monkeypatch)
