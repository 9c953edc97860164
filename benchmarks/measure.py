"""Timing, and a table of what came out."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


def time_each(count: int, action: Callable[[], object], *, warm_up: int = 2) -> list[float]:
    """Seconds of each of `count` runs, after some that don't count."""
    for _ in range(warm_up):
        action()
    seconds = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return seconds


def alternate(count: int, *actions: Callable[[], object]) -> list[float]:
    """The median seconds of each action, run in turns so that the machine's moods meet all of them alike."""
    for action in actions:
        action()
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(count):
        for action, found in zip(actions, seconds, strict=True):
            started = time.perf_counter()
            action()
            found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in seconds]


async def in_turns(count: int, *actions: Callable[[], Awaitable[object]]) -> list[float]:
    """As `alternate`, for what runs in a loop."""
    for action in actions:
        await action()
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(count):
        for action, found in zip(actions, seconds, strict=True):
            started = time.perf_counter()
            await action()
            found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in seconds]


@dataclass
class Report:
    """One line a promise: what was measured, what was promised, whether it holds."""

    lines: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def at_most(self, what: str, value: float, limit: float, unit: str) -> None:
        self._add(what, f"{value:.4g} {unit}", f"<= {limit:g} {unit}", value <= limit)

    def at_least(self, what: str, value: float, limit: float, unit: str) -> None:
        self._add(what, f"{value:.4g} {unit}", f">= {limit:g} {unit}", value >= limit)

    def note(self, what: str, value: str) -> None:
        print(f"  {what}: {value}", flush=True)

    def _add(self, what: str, value: str, limit: str, holds: bool) -> None:
        self.lines.append((what, value, limit, holds))
        print(f"{'ok  ' if holds else 'MISS'} {what}: {value} ({limit})", flush=True)

    def summary(self) -> str:
        width = max(len(line[0]) for line in self.lines)
        rows = [
            f"{what:{width}}  {value:>12}  {limit:>12}  {'yes' if ok else 'NO'}"
            for what, value, limit, ok in self.lines
        ]
        return "\n".join([f"{'PROMISE':{width}}  {'MEASURED':>12}  {'LIMIT':>12}  HOLDS", *rows])
