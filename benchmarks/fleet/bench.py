"""One server and a simulated fleet: `scripts/bench fleet`."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.harness import fresh_vendetta

from benchmarks.measure import Report

from . import figures, simulation
from .api import watched_api
from .plan import Plan
from .records import write_pins, write_records


@dataclass(frozen=True)
class Scale:
    """How much of everything; `node_timeout_seconds` is what the server is told. `large`: nodes of a second fleet."""

    nodes: int = 1000
    large: int = 3000
    workspaces_each: int = 10
    idle_seconds: float = 60.0
    deaths: int = 100
    operations: int = 300
    node_timeout_seconds: float = 30.0
    keepalive_seconds: float = 10.0
    replicas: int = 2
    lists: int = 10
    """Of each kind, by each reader."""

    @property
    def settings(self) -> dict[str, str]:
        """What each server is told, in its environment."""
        return {
            "VENDETTA_NODE_TIMEOUT": str(self.node_timeout_seconds),
            "VENDETTA_KEEPALIVE_INTERVAL": str(self.keepalive_seconds),
        }


def run(report: Report, folder: Path, scale: Scale = Scale()) -> None:
    plan = Plan(scale.nodes, scale.workspaces_each)
    keys, port = simulation.Keys.generate(folder / f"fleet-{plan.nodes}"), simulation.find_port()
    with fresh_vendetta(**scale.settings) as vendetta:
        home = vendetta.home / "v"
        write_pins(home, plan, keys)
        owner = asyncio.run(write_records(str(home / "state.db"), plan, keys, port))
        with simulation.running(plan, keys, port, owner) as fleet:
            report.note("simulated", f"{plan.nodes} nodes, {plan.workspaces} workspaces, {len(fleet.pids)} processes")
            started = time.perf_counter()
            vendetta("server", "start")
            pid = vendetta.server_pid()

            async def measure() -> None:
                async with watched_api(home / "server.sock") as (api, watching):
                    bench = figures.Bench(report, api, watching, fleet, plan, pid, home, started)
                    await figures.connect(bench)
                    await figures.idle(bench, scale.idle_seconds)
                    await figures.lists(bench)
                    with figures.stalls_told(bench, "while containers die"):
                        await figures.events(bench, scale.deaths)
                    with figures.stalls_told(bench, "while operations run"):
                        await figures.operations(bench, scale.operations)
                    await figures.losses(bench, scale.node_timeout_seconds, scale.keepalive_seconds)

            asyncio.run(measure())
