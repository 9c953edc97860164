"""A server in small: the steps of its operations write down what they did, and stop for ever where they are told to.

    worker.py FOLDER LOCATION [--submit KIND:TARGET]… [--stop-at POINT] [--cancel-at POINT]

A POINT is `after STEP`, `in STEP`, or `before EVENT`. It prints the one at which it stops, and once everything is
finished, every operation as a line of JSON.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Operations, Steps
from vendetta.errors import Cancelled, WrongState
from vendetta.models import Event
from vendetta.store import Store
from vendetta.store.events import Events as StoredEvents


class Worker:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.done = Path(options.folder) / "done"
        self.loop = asyncio.get_running_loop()
        self.tasks: list[asyncio.Task[Any]] = []
        self.submitted = asyncio.Event()

    async def run(self) -> None:
        self.watch_events()
        async with Store.open(self.options.location) as store, Events(store) as events:
            self.operations = Operations(store, events)
            self.operations.register("thing.three", self.three)
            self.operations.register("thing.undone", self.undone)
            self.operations.register("thing.failing", self.failing)
            async with self.operations:
                for submission in self.options.submit:
                    kind, target = submission.split(":")
                    await self.operations.submit(Ask("test"), kind, target, {"by": "worker"})
                self.submitted.set()
                for operation in await store.operations.unfinished():
                    await self.operations.wait(operation.id, None)
                for operation in reversed((await self.operations.list()).items):
                    print(msgspec.json.encode(operation).decode(), flush=True)

    async def three(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        values = []
        for name in ("one", "two", "three"):
            values.append(await steps.run(name, lambda name=name: self.do(steps, name)))  # type: ignore[misc]
            await self.point(steps, f"after {name}")
        return {"values": values, **given}

    async def undone(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        try:
            await steps.run("long", lambda: self.do(steps, "long"))
        except Cancelled:
            await steps.run("undo", lambda: self.do(steps, "undo"), cleanup=True)
            raise
        return {}

    async def failing(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        async def fail() -> None:
            await self.do(steps, "fail")
            raise WrongState("it is busy", hint="wait", by=["somebody"])

        try:
            await steps.run("fail", fail)
        except WrongState as exc:
            by = exc.details["by"][0]
            await steps.run("mend", lambda: self.do(steps, f"mend {by}"))
            raise
        return {}

    async def do(self, steps: Steps, name: str) -> str:
        where = "" if asyncio.get_running_loop() is self.loop else " in a foreign loop"
        with self.done.open("a") as file:
            file.write(f"{steps.operation.target} {name}{where}\n")
        await self.point(steps, f"in {name}")
        return f"did {name}"

    def watch_events(self) -> None:
        append = StoredEvents.append

        async def watched(events: StoredEvents, kind: str, *about: Any) -> Event:
            await self.stop(f"before {kind}")
            return await append(events, kind, *about)

        StoredEvents.append = watched  # type: ignore[method-assign]

    async def stop(self, name: str) -> None:
        if name == self.options.stop_at:
            print(name, flush=True)
            await asyncio.Event().wait()

    async def point(self, steps: Steps, name: str) -> None:
        # the first may be there before the last is recorded
        await self.submitted.wait()
        await self.stop(name)
        if name == self.options.cancel_at:
            self.tasks.append(asyncio.create_task(self.operations.cancel(steps.operation.id)))
            await asyncio.Event().wait()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("location")
    parser.add_argument("--submit", action="append", default=[])
    parser.add_argument("--stop-at")
    parser.add_argument("--cancel-at")
    return parser.parse_args()


async def main() -> None:
    await Worker(parse()).run()


if __name__ == "__main__":
    asyncio.run(main())
