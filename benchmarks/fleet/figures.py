"""What one server makes of the fleet. Each function prints its figures, beside the promise where there is one."""

import asyncio
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.measure import Report
from benchmarks.processes import cpu_seconds, open_files, resident_bytes

from . import stalls
from .api import Api, Watching
from .plan import Plan
from .simulation import Simulation

MIB = 2**20
PAGE = 1000
LIST_TURNS = 5
CONNECT_SECONDS, OPERATIONS_SECONDS, EVENT_SECONDS = 600.0, 300.0, 30.0
CALM_SECONDS, CALM_PART, CALM_TURNS = 2.0, 0.15, 30
"""What starting began is over once so little of a core is used for so long, or after so many looks."""
BETWEEN_DEATHS_SECONDS = 0.05
LOOK_SECONDS = 0.5
SLACK_SECONDS = 2.0


@dataclass(frozen=True)
class Bench:
    """What every figure is taken from."""

    report: Report
    api: Api
    watching: Watching
    simulation: Simulation
    plan: Plan
    pid: int
    """Of the server."""
    home: Path
    """Of the server: where its databases are."""
    started_at: float
    """When it was started, by `time.perf_counter`."""


@dataclass(frozen=True)
class Limits:
    """What is promised of so many nodes."""

    idle_percent: float
    memory_mib: float


def limits_of(nodes: int) -> Limits:
    return Limits(10, 400) if nodes <= 1000 else Limits(12, 420)


@contextmanager
def stalls_told(bench: Bench, what: str) -> Iterator[None]:
    """Prints the longest that the event loop stood still for others meanwhile."""
    with stalls.counted(bench.home / "server.sock", bench.pid) as found:
        yield
    bench.report.note(
        f"longest stall of the event loop, {what}",
        f"{1000 * found.longest_seconds:.0f} ms of CPU, of {found.questions} times that it was asked",
    )


async def connect(bench: Bench) -> None:
    """From the start of the process to every link standing and every workspace looked at."""
    connected = await wait_for_nodes(bench.api, bench.plan)
    took, cpu = time.perf_counter() - bench.started_at, cpu_seconds(bench.pid)
    bench.report.at_least("nodes connected and probed, of those there are", connected, bench.plan.nodes, "")
    bench.report.note(
        "until all were", f"{took:.1f} s, {cpu:.1f} s of CPU, {1000 * cpu / bench.plan.nodes:.0f} ms a node"
    )
    await calm_down([bench.pid])


async def wait_for_nodes(api: Api, plan: Plan) -> int:
    """How many are connected and probed, once all are or it takes too long."""
    deadline = time.perf_counter() + CONNECT_SECONDS
    connected = 0
    while connected < plan.nodes and time.perf_counter() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        # a small question while many are missing: to ask is work for the server too
        missing, _ = await api.get("nodes", status="connecting", limit=1)
        if not msgspec.json.decode(missing)["items"]:
            nodes, _ = await api.pages("nodes", PAGE)
            connected = sum(node["status"] == "connected" and bool(node["providers"]) for node in nodes)
    return connected


async def calm_down(pids: Sequence[int]) -> None:
    for _ in range(CALM_TURNS):
        before = sum(map(cpu_seconds, pids))
        await asyncio.sleep(CALM_SECONDS)
        if sum(map(cpu_seconds, pids)) - before < CALM_PART * CALM_SECONDS:
            return


async def idle(bench: Bench, seconds: float) -> None:
    before, started = cpu_seconds(bench.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    used = 100 * (cpu_seconds(bench.pid) - before) / (time.perf_counter() - started)
    limits = limits_of(bench.plan.nodes)
    bench.report.at_most(f"{bench.plan.nodes} nodes idle, over {seconds:g} s", used, limits.idle_percent, "% of a core")
    bench.report.at_most(
        f"memory of the server with {bench.plan.nodes} nodes", resident_bytes(bench.pid) / MIB, limits.memory_mib, "MiB"
    )
    bench.report.note("files that the server has open", str(open_files(bench.pid)))


async def lists(bench: Bench) -> None:
    """The slowest page of the best of some turns: the machine's moods aren't the server's."""
    for path, number in (("nodes", bench.plan.nodes), ("workspaces", bench.plan.workspaces)):
        turns: list[Sequence[float]] = []
        cpu = cpu_seconds(bench.pid)
        for _ in range(LIST_TURNS):
            items, seconds = await bench.api.pages(path, PAGE)
            assert len(items) == number, (path, len(items))
            turns.append(seconds)
        each = (cpu_seconds(bench.pid) - cpu) / sum(map(len, turns))
        best = min(turns, key=max)
        bench.report.at_most(f"list of {number} {path}, the slowest page of {PAGE}", 1000 * max(best), 100, "ms")
        bench.report.note(
            f"all {len(best)} pages of them", f"{1000 * sum(best):.0f} ms, {1000 * each:.0f} ms of CPU each"
        )
    with stalls_told(bench, "while they are listed"):
        for _ in range(LIST_TURNS):
            await bench.api.pages("workspaces", PAGE)


async def events(bench: Bench, deaths: int) -> None:
    """A container ends by itself; how long until a watcher of the server's events is told that it failed."""
    choice = random.Random(deaths)
    nodes = [choice.randrange(bench.plan.nodes) for _ in range(deaths)]
    victims = {choice.choice(bench.plan.names(node)): node for node in nodes}
    seconds = []
    for name, node in victims.items():
        died = bench.simulation.die(node, name)
        told = await bench.watching.told("workspace.failed", name, EVENT_SECONDS)
        if told is not None:
            seconds.append(told - died)
        await asyncio.sleep(BETWEEN_DEATHS_SECONDS)
    bench.report.at_least("deaths told, of those there were", len(seconds), len(victims), "")
    p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    bench.report.at_most("a container's death, shown to a watcher (p95)", 1000 * p95, 100, "ms")
    bench.report.note("the median of it", f"{1000 * statistics.median(seconds):.1f} ms")


async def operations(bench: Bench, number: int) -> None:
    """Stops and starts of different workspaces, asked for all at once."""
    names = random.Random(number).sample(all_names(bench.plan), min(number, bench.plan.workspaces))
    cpu, size, told = cpu_seconds(bench.pid), database_bytes(bench.home), bench.watching.count
    took = 0.0
    for verb in ("stop", "start"):
        bench.watching.forget()
        started = time.perf_counter()
        await asyncio.gather(*(bench.api.post(f"workspaces/{name}/{verb}") for name in names))
        await bench.watching.wait(lambda: ended(bench.watching) >= len(names), OPERATIONS_SECONDS)
        took += time.perf_counter() - started
        done = bench.watching.number("operation.succeeded")
        bench.report.at_least(f"{verb}s that succeeded, of those asked for", done, len(names), "")
    count = 2 * len(names)
    used = cpu_seconds(bench.pid) - cpu
    bench.report.at_least("durable operations on one replica", count / took, 50, "/s")
    bench.report.note("CPU of an operation", f"{1000 * used / count:.1f} ms")
    grown, told = database_bytes(bench.home) - size, bench.watching.count - told
    bench.report.note(
        "growth of the databases",
        f"{grown / count / 1024:.1f} KiB an operation, which is told by {told / count:.1f} events",
    )


def ended(watching: Watching) -> int:
    return sum(watching.number(f"operation.{state}") for state in ("succeeded", "failed", "cancelled"))


def all_names(plan: Plan) -> list[str]:
    return [name for number in range(plan.nodes) for name in plan.names(number)]


async def losses(bench: Bench, node_timeout: float, keepalive: float) -> None:
    """A node that is switched off, and one whose sshd hangs, which isn't asked until up to a keep-alive later."""
    bench.watching.forget()
    ways: Sequence[tuple[str, Callable[[int], float], float]] = (
        ("a node that is switched off", bench.simulation.stop, 0.0),
        ("a node that falls silent", bench.simulation.silence, keepalive),
    )
    await asyncio.gather(*(loss(bench, node, way, node_timeout) for node, way in enumerate(ways)))


async def loss(bench: Bench, node: int, way: tuple[str, Callable[[int], float], float], node_timeout: float) -> None:
    what, lose, unsure = way
    name = bench.plan.node(node)
    lost = lose(node)
    offline = await bench.watching.told("node.offline", name, 2 * node_timeout + SLACK_SECONDS)
    seconds = offline - lost if offline else float("inf")
    bench.report.at_least(f"{what}, called offline no sooner than", seconds, node_timeout - SLACK_SECONDS, "s")
    bench.report.at_most(f"{what}, called offline no later than", seconds, node_timeout + unsure + SLACK_SECONDS, "s")
    bench.simulation.listen(node)


def database_bytes(home: Path) -> int:
    """Of every database below `home`, as far as it is used: what waits in a log beside it counts, free pages don't."""
    total = 0
    for path in home.glob("*.db"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {word}").fetchone()[0]
                for word in ("page_count", "freelist_count", "page_size")
            )
            total += (pages - free) * size
    return total
