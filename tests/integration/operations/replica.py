"""One of several replicas in small: it does what lines on stdin say, and its steps write down what they did.

    replica.py URL FILE

`submit KEY TARGET` and `hold KEY TARGET` answer `KEY ID`, or `KEY -` where it is refused; `cancel ID` and `wait ID` its
state, `watch ID WORD` that word once a state or a progress says it; `unfinished` how many there are; `quit` leaves.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import structlog

from vendetta.coordination.ask import Ask
from vendetta.coordination.cluster import Membership
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.errors import Cancelled, VendettaError
from vendetta.models import Progress
from vendetta.store import Store

STEP_SECONDS = 0.05
KINDS = {"submit": "thing.two", "hold": "thing.held"}


class Things:
    """What the operations do."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def two(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        async def do(name: str) -> None:
            self._note("begin", steps, given, name)
            await asyncio.sleep(STEP_SECONDS)
            self._note("end", steps, given, name)

        for name in ("one", "two"):
            await steps.run(name, lambda name=name: do(name))  # type: ignore[misc]
        return {}

    async def held(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        async def hold() -> None:
            self._note("begin", steps, given, "hold")
            steps.progress(Progress(message="holding"))
            while not (self._file.parent / given["key"]).exists():
                await asyncio.sleep(STEP_SECONDS)
            self._note("end", steps, given, "hold")

        async def undo() -> None:
            self._note("end", steps, given, "undo")

        try:
            await steps.run("hold", hold)
        except Cancelled:
            await steps.run("undo", undo, cleanup=True)
            raise
        return {}

    def _note(self, what: str, steps: Steps, given: dict[str, Any], step: str) -> None:
        # one write each: lines of several processes don't mix
        with self._file.open("ab", buffering=0) as notes:
            notes.write(f"{what} {steps.operation.target} {given['key']} {step} {os.getpid()}\n".encode())


async def answer(operations: Operations, store: Store, *words: str) -> str:
    match words:
        case ["unfinished"]:
            return str(len(await store.operations.unfinished()))
        case [("submit" | "hold") as verb, key, target]:
            try:
                made = await operations.submit(Ask("test", key), KINDS[verb], target, {"key": key})
            except VendettaError:
                return f"{key} -"
            return f"{key} {made.id}"
        case ["cancel", id]:
            return (await operations.cancel(id)).state
        case ["wait", id]:
            return (await operations.wait(id, None)).state
        case ["watch", id, word]:
            async for seen in operations.watch(id):
                if word in (seen.state, seen.progress and seen.progress.message):
                    return word
    return f"not {' '.join(words)}"


async def main(url: str, file: str) -> None:
    async with (
        Store.open(url) as store,
        Events(store) as events,
        Membership(store.replicas, shared=True) as replicas,
    ):
        operations, things = Operations(store, events, group=replicas), Things(Path(file))
        operations.register("thing.two", things.two)
        operations.register("thing.held", things.held)
        async with operations:
            print("ready", flush=True)
            while (words := (await asyncio.to_thread(sys.stdin.readline)).split()) and words != ["quit"]:
                print(await answer(operations, store, *words), flush=True)


if __name__ == "__main__":
    # stdout is for answers
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
