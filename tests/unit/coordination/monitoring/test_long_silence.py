"""A node that doesn't answer for ten minutes, and a clock that jumps an hour: nothing is lost, nothing mislabelled."""

import asyncio
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest
from tests.unit.coordination.machines import Machine, serving
from tests.unit.coordination.simulated import run

from vendetta.api.services import Services
from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import NodeRequest, WorkspaceRequest
from vendetta.models import Event
from vendetta.ssh.endpoint import Login
from vendetta.transport import CommandResult

TIMEOUT = 120.0
NAMES = ("one", "two", "three")


class Told:
    """What is told from now on, and when, by the clock of the loop."""

    def __init__(self, services: Services) -> None:
        self.events: list[tuple[float, Event]] = []
        self._watch = services.events.watch()
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self._watch:
            self.events.append((asyncio.get_running_loop().time(), event))

    def kinds(self, subject: str) -> list[str]:
        return [event.kind for _, event in self.events if event.subject == subject]

    def time_of(self, kind: str) -> float:
        (time,) = [time for time, event in self.events if event.kind == kind]
        return time

    def close(self) -> None:
        self._task.cancel()


async def add(services: Services) -> None:
    await services.node_adding.add(
        NodeRequest(name="gpu", address="me@192.0.2.1"), Login(accept_new=True), actor="test"
    )
    for name in NAMES:
        request = WorkspaceRequest(name=name, provider="memory", image="busybox", node="gpu")
        operation = await services.workspaces.create(Ask("test"), request)
        assert (await services.operations.wait(operation.id, None)).state == "succeeded"


async def states(services: Services) -> set[str]:
    return {workspace.state for workspace in (await services.workspaces.list()).items}


def test_a_link_that_is_cut_for_ten_minutes_changes_no_workspace(tmp_path: Path) -> None:
    async def check() -> None:
        machine = Machine("gpu")
        async with serving(tmp_path, {"gpu": machine}, node_timeout=TIMEOUT) as services:
            await add(services)
            instances = {name: instance.shown for name, instance in machine.engine.instances.items()}
            told, cut = Told(services), asyncio.get_running_loop().time()
            machine.cut()
            await asyncio.sleep(600)
            assert (await services.nodes.get("gpu")).status == "offline"
            assert await states(services) == {"unknown"}
            mended = asyncio.get_running_loop().time()
            machine.mend()
            await asyncio.sleep(80)  # it is tried once a minute by then
            assert (await services.nodes.get("gpu")).status == "connected"
            assert await states(services) == {"running"}
            assert told.kinds("gpu") == ["node.connecting", "node.offline", "node.connected"]
            for name in NAMES:
                assert told.kinds(name) == ["workspace.unknown", "workspace.running"]
            assert abs(told.time_of("node.offline") - cut - TIMEOUT) <= 2.0
            assert told.time_of("node.connected") > mended
            assert {name: instance.shown for name, instance in machine.engine.instances.items()} == instances
            told.close()

    run(check())


class Jumped(datetime):
    hours = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:  # type: ignore[override]
        return datetime.now(tz) + timedelta(hours=cls.hours)  # type: ignore[return-value]


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_an_hour_makes_no_node_offline_and_keeps_none_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    for module in ("node_reader", "link_status", "observation"):
        monkeypatch.setattr(f"vendetta.coordination.monitoring.{module}.datetime", Jumped)
    monkeypatch.setattr("vendetta.ssh.breaker.datetime", Jumped)
    monkeypatch.setattr(Jumped, "hours", 0)

    async def check() -> None:
        machine = Machine("gpu")
        async with serving(tmp_path, {"gpu": machine}, node_timeout=TIMEOUT) as services:
            await add(services)
            told = Told(services)
            Jumped.hours = hours
            await asyncio.sleep(60)
            assert told.events == []
            cut = asyncio.get_running_loop().time()
            machine.cut()
            await asyncio.sleep(30)
            Jumped.hours = -hours
            await asyncio.sleep(TIMEOUT - 35)
            assert (await services.nodes.get("gpu")).status == "connecting"
            await asyncio.sleep(10)
            assert (await services.nodes.get("gpu")).status == "offline"
            assert abs(told.time_of("node.offline") - cut - TIMEOUT) <= 2.0
            told.close()

    run(check())


def test_a_link_that_stands_but_is_silent_makes_a_node_offline_and_it_is_back_as_it_answers(tmp_path: Path) -> None:
    async def check() -> None:
        machine = Machine("gpu")
        async with serving(tmp_path, {"gpu": machine}, node_timeout=TIMEOUT) as services:
            await add(services)
            told, began = Told(services), asyncio.get_running_loop().time()
            (link,) = machine.links
            for second in range(200):
                link.silent_seconds, link.unanswered = float(second), second // 20
                await asyncio.sleep(1)
            assert (await services.nodes.get("gpu")).status == "offline"
            assert await states(services) == {"unknown"}
            assert abs(told.time_of("node.offline") - began - TIMEOUT) <= 2.0
            link.silent_seconds, link.unanswered = 0.0, 0
            await asyncio.sleep(5)
            assert (await services.nodes.get("gpu")).status == "connected"
            assert await states(services) == {"running"}
            assert told.kinds("gpu") == ["node.offline", "node.connected"]
            told.close()

    run(check())


def test_one_that_falls_silent_while_it_is_asked_is_back_as_it_answers(tmp_path: Path) -> None:
    async def check() -> None:
        machine = Machine("gpu")
        async with serving(tmp_path, {"gpu": machine}, node_timeout=TIMEOUT) as services:
            await add(services)
            told = Told(services)
            (link,) = machine.links
            asked, answer, run_at_once = asyncio.Event(), asyncio.Event(), link.run

            async def run_late(*arguments: Any, **options: Any) -> CommandResult:
                asked.set()
                await answer.wait()
                return await run_at_once(*arguments, **options)

            link.run = run_late  # type: ignore[method-assign]
            machine.end_events()  # so it is asked everything again
            await asked.wait()
            for second in range(200):
                link.silent_seconds, link.unanswered = float(second), second // 20
                await asyncio.sleep(1)
            assert (await services.nodes.get("gpu")).status == "offline"
            link.silent_seconds, link.unanswered = 0.0, 0
            answer.set()
            await asyncio.sleep(5)
            assert (await services.nodes.get("gpu")).status == "connected"
            assert await states(services) == {"running"}
            assert told.kinds("gpu")[-2:] == ["node.offline", "node.connected"]
            told.close()

    run(check())
