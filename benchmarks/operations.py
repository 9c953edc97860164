"""What tracking costs: from submitting an operation of one empty step to its end, and many of them at once."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from tests.testbed import TestBed

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.store import Store

from .measure import Report

ROUNDS = 100
TOGETHER = 300


async def one_step(steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
    async def nothing() -> None:
        return None

    await steps.run("nothing", nothing)
    return {}


async def measure(operations: Operations, target: str) -> float:
    started = time.perf_counter()
    operation = await operations.submit(Ask("benchmark"), "bench.step", target, {})
    await operations.wait(operation.id, None)
    return time.perf_counter() - started


async def gather_figures(folder: Path) -> tuple[list[float], float]:
    """Milliseconds of each alone, and how many a second come to their ends where many are asked for at once."""
    async with Store.open(f"{folder}/state.db") as store, Events(store) as events:
        operations = Operations(store, events)
        operations.register("bench.step", one_step)
        async with operations:
            await measure(operations, "warm-up")
            alone = [await measure(operations, "t") * 1000 for _ in range(ROUNDS)]
            started = time.perf_counter()
            await asyncio.gather(*(measure(operations, f"t{number}") for number in range(TOGETHER)))
            return alone, TOGETHER / (time.perf_counter() - started)


def run(report: Report, bed: TestBed, folder: Path) -> None:
    alone, rate = asyncio.run(gather_figures(folder))
    p50, p95 = statistics.median(alone), statistics.quantiles(alone, n=20)[-1]
    report.note("one operation of one step", f"{p50:.1f} ms p50, {p95:.1f} ms p95")
    report.at_least("durable operations on one replica", rate, 50, "a second")
