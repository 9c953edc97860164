"""Whatever happens to nodes, engines, workspaces and the server itself: what is said is what is, and nothing else was.

Hypothesis drives the whole server over machines in memory. Once things have settled, the store is compared with the
machines; and no event may tell of a state in which a workspace never was.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.unit.coordination.machines import Machine, serving

from vendetta.coordination.ask import Ask
from vendetta.coordination.requests import NodeRequest, RemoveRequest, StopRequest, WorkspaceRequest
from vendetta.errors import VendettaError
from vendetta.models import FINISHED, Operation
from vendetta.ssh.endpoint import Login

NODES = ("one", "two")
NAMES = ("web", "db", "job")
AUTOSTART = {"db"}
PATIENCE_SECONDS = 20.0
QUICK = {
    "vendetta.ssh.breaker.FIRST_SECONDS": 0.002,
    "vendetta.ssh.breaker.LONGEST_SECONDS": 0.02,
    "vendetta.ssh.pool.pool.FRESH_SECONDS": 0.0,
    "vendetta.coordination.monitoring.event_streams.HELD_SECONDS": 0.01,
    "vendetta.coordination.monitoring.offline_detector.LOOK_SECONDS": 0.01,
}
"""How long is waited matters to none of this."""

nodes, names = st.sampled_from(NODES), st.sampled_from(NAMES)


class Vendetta(RuleBasedStateMachine):
    """Every rule does something to the world and goes on at once; only `settle` waits."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="vendetta-model-")
        self.runner = asyncio.Runner()
        self.machines = {name: Machine(name) for name in NODES}
        self.patches = [mock.patch(target, value) for target, value in QUICK.items()]
        for patch in self.patches:
            patch.start()
        self.reboots = dict.fromkeys(NODES, 0)
        self.interfered: set[str] = set()
        self.numbers = itertools.count()
        self.checked = 0
        self.operations: list[str] = []

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(doing)

    @initialize(lag=st.sampled_from([0, 3, 30]), safety=st.sampled_from([900.0, 0.1]))
    def begin(self, lag: int, safety: float) -> None:
        """Where everything is read again and again, answers are overtaken; where it isn't, events are all there is."""
        self.patches.append(mock.patch("vendetta.coordination.monitoring.node_watcher.SAFETY_SECONDS", safety))
        self.patches[-1].start()
        self.run(self._open())
        for machine in self.machines.values():
            self.run(self._add(machine.name))
            machine.lag = lag
        for name, node in zip(NAMES, ("one", "two", "one"), strict=True):
            self.create(name, node, start=True)
        self.run(self._settle())

    # what people ask for

    @rule(name=names, node=nodes, start=st.booleans())
    def create(self, name: str, node: str, start: bool) -> None:
        options = {"autostart": "true"} if name in AUTOSTART else {}
        request = WorkspaceRequest(
            name=name, provider="memory", image="busybox", node=node, start=start, options=options
        )
        self.run(self._submit(self.services.workspaces.create(Ask("test"), request)))
        self.interfered.discard(name)

    @rule(name=names)
    def start(self, name: str) -> None:
        self.run(self._submit(self.services.workspaces.change(Ask("test"), "workspace.start", name)))

    @rule(name=names)
    def stop(self, name: str) -> None:
        self.run(self._submit(self.services.workspaces.change(Ask("test"), "workspace.stop", name, StopRequest())))

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.run(
            self._submit(
                self.services.workspaces.change(Ask("test"), "workspace.remove", name, RemoveRequest(force=True))
            )
        )

    @rule()
    def cancel(self) -> None:
        if self.operations:
            self.run(self._cancel(self.operations[-1]))

    # what happens

    @rule(node=nodes)
    def cut(self, node: str) -> None:
        self.machines[node].cut()

    @rule(node=nodes)
    def mend(self, node: str) -> None:
        self.machines[node].mend()

    @rule(node=nodes)
    def stop_engine(self, node: str) -> None:
        self.machines[node].stop_engine()

    @rule(node=nodes)
    def start_engine(self, node: str) -> None:
        self.machines[node].start_engine()

    @rule(node=nodes)
    def reboot(self, node: str) -> None:
        self.run(self.machines[node].reboot())
        self.reboots[node] += 1

    @rule(node=nodes, name=names)
    def remove_by_hand(self, node: str, name: str) -> None:
        self.run(self.machines[node].remove(name))
        self.interfered.add(name)

    @rule(node=nodes, name=names)
    def kill_by_hand(self, node: str, name: str) -> None:
        self.run(self.machines[node].kill(name))
        self.interfered.add(name)

    @rule(node=nodes, name=names)
    def start_by_hand(self, node: str, name: str) -> None:
        async def start() -> None:
            self.machines[node].start(name)

        self.run(start())

    @rule(ticks=st.integers(1, 200))
    def go_on(self, ticks: int) -> None:
        async def go_on() -> None:
            for _ in range(ticks):
                await asyncio.sleep(0)

        self.run(go_on())

    @rule()
    def restart_server(self) -> None:
        self.run(self._close())
        self.run(self._open())

    @rule()
    def settle(self) -> None:
        self.run(self._settle())

    @invariant()
    def nothing(self) -> None:
        """What holds, holds once it has settled."""

    def teardown(self) -> None:
        try:
            if hasattr(self, "services"):
                for machine in self.machines.values():
                    machine.mend()
                    machine.start_engine()
                self.run(self._settle())
                self.run(self._close())
        finally:
            self.runner.close()
            for patch in self.patches:
                patch.stop()
            self.folder.cleanup()

    # the server

    async def _open(self) -> None:
        self.server = serving(Path(self.folder.name), self.machines, node_timeout=0.05)
        self.services = await self.server.__aenter__()

    async def _close(self) -> None:
        await self.server.__aexit__(None, None, None)

    async def _add(self, name: str) -> None:
        request = NodeRequest(name=name, address="me@192.0.2.1")
        await self.services.node_adding.add(request, Login(accept_new=True), actor="test")

    async def _submit(self, submitting: Coroutine[Any, Any, Operation]) -> None:
        # there already, or not there: both are right answers
        with suppress(VendettaError):
            self.operations.append((await submitting).id)

    async def _cancel(self, id: str) -> None:
        with suppress(VendettaError):
            await self.services.operations.cancel(id)

    # the truth

    async def _settle(self) -> None:
        """Returns when what is said is what is; fails with the difference where it doesn't come to that."""
        wrong: list[str] = ["nobody has looked yet"]
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                # twice the same: it isn't by chance, in the middle of something
                while wrong or (wrong := await self._differences()):
                    wrong = await self._differences()
                    if wrong:
                        await asyncio.sleep(0.002)
        assert not wrong, wrong
        await self._check_events()

    async def _differences(self) -> list[str]:
        """What is said of workspaces and nodes otherwise than it is; operations that wait for a node are left out."""
        operations = (await self.services.operations.list(limit=1000)).items
        busy = {operation.target for operation in operations if operation.state not in FINISHED}
        said = {workspace.name: workspace for workspace in (await self.services.workspaces.list()).items}
        wrong = [
            f"operation {operation.kind} {operation.target} does not end"
            for operation in operations
            if operation.target in busy and all(machine.answers for machine in self.machines.values())
        ]
        for name, workspace in said.items():
            machine = self.machines[workspace.node]
            expected = machine.truth(name) if machine.answers else "unknown"
            if name not in busy and workspace.state != expected:
                wrong.append(f"{name} on {machine.name} is {expected}, not {workspace.state}: {workspace.reason}")
            should_run = name in AUTOSTART and workspace.wanted == "running" and name not in self.interfered
            if name not in busy and machine.answers and should_run and expected == "stopped":
                wrong.append(f"{name} on {machine.name} was not started again")
        for machine in self.machines.values():
            wrong += await self._node_differences(machine)
            lost = set(machine.engine.instances) - {name for name, it in said.items() if it.node == machine.name} - busy
            wrong += [f"{name} on {machine.name} is lost" for name in lost]
        return wrong

    async def _node_differences(self, machine: Machine) -> list[str]:
        node = await self.services.nodes.get(machine.name)
        if not machine.linked:
            return [] if node.status == "offline" else [f"{machine.name} is cut off, not {node.status}"]
        found = [] if node.status == "connected" else [f"{machine.name} is connected, not {node.status}: {node.reason}"]
        if node.providers["memory"].state != machine.engine.status.state:
            found.append(f"the engine of {machine.name} is {machine.engine.status.state}")
        if node.boot_id != f"boot-{machine.boot}":
            found.append(f"{machine.name} was started again")
        return found

    async def _check_events(self) -> None:
        """Of what was told since the last time, each was so at some time."""
        told = [event async for event in self._events()]
        for event in told:
            noun, _, state = event.kind.partition(".")
            if noun == "workspace":
                machine = self.machines[event.data["node"]]
                possible = machine.seen[event.subject] | ({"unknown"} if machine.disturbed else set())
                assert state in possible, f"{event} was told, but there was only {possible}"
                assert (event.data["before"], event.data["reason"]) != (state, None), f"{event} says nothing new"
        for node, count in self.reboots.items():
            rebooted = sum(event.kind == "node.rebooted" and event.subject == node for event in told)
            assert rebooted <= count, f"{node} was started again {count} times, and it was told {rebooted} times"
            if self.machines[node].linked:
                self.reboots[node] = 0
        for machine in self.machines.values():
            machine.clear()

    async def _events(self) -> Any:
        page = await self.services.events.list(self.checked, limit=1000)
        for event in page.items:
            self.checked = event.sequence
            yield event


def test_what_is_said_is_what_is() -> None:
    run_state_machine_as_test(
        Vendetta,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_machine_that_is_started_again_and_answers_only_later() -> None:
    """What had died before is told as stopped by the boot, once the engine can be asked."""
    world = Vendetta()
    try:
        world.begin(lag=0, safety=900.0)
        world.kill_by_hand("two", "db")
        world.settle()
        world.reboot("two")
        world.stop_engine("two")
        world.settle()
        world.start_engine("two")
        world.settle()
    finally:
        world.teardown()
