"""What tracking costs: from submitting an operation of one empty step to its end, and a hundred of them at once.

`python -m benchmarks.operations`
"""

import asyncio
import statistics
import time
from tempfile import TemporaryDirectory
from typing import Any

from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.store import Store

ROUNDS = 100


async def one_step(steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
    async def nothing() -> None:
        return None

    await steps.run("nothing", nothing)
    return {}


async def measure(operations: Operations, target: str) -> float:
    started = time.perf_counter()
    operation = await operations.submit("bench.step", target, {}, actor="benchmark")
    await operations.wait(operation.id, None)
    return time.perf_counter() - started


async def main() -> None:
    with TemporaryDirectory() as folder:
        async with Store.open(f"{folder}/state.db") as store, Events(store) as events:
            operations = Operations(store, events)
            operations.register("bench.step", one_step)
            async with operations:
                await measure(operations, "warm-up")
                alone = [await measure(operations, "t") * 1000 for _ in range(ROUNDS)]
                started = time.perf_counter()
                await asyncio.gather(*(measure(operations, f"t{number}") for number in range(ROUNDS)))
                together = time.perf_counter() - started
    p50, p95 = statistics.median(alone), statistics.quantiles(alone, n=20)[-1]
    print(f"one operation of one step: {p50:.1f} ms p50, {p95:.1f} ms p95")
    print(f"{ROUNDS} at once: {together:.2f} s, {together / ROUNDS * 1000:.1f} ms each")


if __name__ == "__main__":
    asyncio.run(main())
