"""One of several replicas in small: it does what lines on stdin say, and its steps write down what they did.

    replica.py URL FILE

`submit KEY TARGET` answers `KEY ID`, or `KEY -` where it is refused; `unfinished` how many there are; `quit` leaves.
"""

import asyncio
import os
import sys
from typing import Any

from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.coordination.replicas import Replicas
from vendetta.errors import VendettaError
from vendetta.store import Store

STEP_SECONDS = 0.05


async def main(url: str, file: str) -> None:
    def note(*words: object) -> None:
        # one write each: lines of several processes don't mix
        with open(file, "ab", buffering=0) as notes:
            notes.write(" ".join(map(str, (*words, os.getpid()))).encode() + b"\n")

    async def two(steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        async def do(name: str) -> None:
            note("begin", steps.operation.target, given["key"], name)
            await asyncio.sleep(STEP_SECONDS)
            note("end", steps.operation.target, given["key"], name)

        for name in ("one", "two"):
            await steps.run(name, lambda name=name: do(name))  # type: ignore[misc]
        return {}

    async with (
        Store.open(url) as store,
        Events(store) as events,
        Replicas(store.replicas, shared=True) as replicas,
    ):
        operations = Operations(store, events, group=replicas)
        operations.register("thing.two", two)
        async with operations:
            print("ready", flush=True)
            while (words := (await asyncio.to_thread(sys.stdin.readline)).split()) and words != ["quit"]:
                if words == ["unfinished"]:
                    print(len(await store.operations.unfinished()), flush=True)
                    continue
                _, key, target = words
                try:
                    made = await operations.submit("thing.two", target, {"key": key}, actor="test", key=key)
                    print(key, made.id, flush=True)
                except VendettaError:
                    print(key, "-", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
