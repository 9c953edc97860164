"""Changing an instance's state: started, stopped, frozen, gone.

The daemon does one thing at a time to an instance and refuses a second: the first is waited for, then it is asked
again.
"""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from vendetta.errors import Busy, WrongState

from .engine import Engine
from .errors import Refused
from .instances import parse_state
from .lookup import Found, Lookup

_TRIES = 5
LOOKS, LOOK_SECONDS = 5, 1.0
_LAST_STATE = "volatile.last_state.power"
"""Written by the daemon at the end of a start, and at the end of cleaning up. After a crash of the node it is stale."""

_NO_SHIFT = re.compile(r"idmapping abilities", re.IGNORECASE)


class States:
    def __init__(self, engine: Engine, lookup: Lookup) -> None:
        self._engine = engine
        self._lookup = lookup

    async def start(self, name: str) -> None:
        async def attempt() -> None:
            found = await self._lookup.find(name)
            state = parse_state(found.said)
            if state == "paused":
                await self._put(found, "unfreeze")
            elif state != "running":
                await self._boot(found)

        await self._patiently(name, f"start {name}", attempt)

    async def stop(self, name: str, timeout_seconds: float) -> None:
        async def attempt() -> None:
            found = await self._lookup.find(name)
            state = parse_state(found.said)
            if state == "paused":
                await self._put(found, "unfreeze")
            if state in ("running", "paused"):
                await self._end(found, timeout_seconds)

        await self._patiently(name, f"stop {name}", attempt)

    async def remove(self, name: str, *, force: bool) -> None:
        async def attempt() -> None:
            found = await self._lookup.lookup(name)
            if found is None or not self._lookup.owns(found, name):
                return
            if parse_state(found.said) in ("running", "paused"):
                if not force:
                    raise WrongState(
                        f"can't remove {name} on node {self._engine.node}: it is running",
                        hint="Stop it first, or force it.",
                    )
                await self._put(found, "stop", force=True)
            try:
                await self._engine.change("DELETE", found.path, params=found.params)
            except Refused as exc:
                if not exc.is_absent:
                    raise

        await self._patiently(name, f"remove {name}", attempt)

    async def pause(self, name: str) -> None:
        async def attempt() -> None:
            found = await self._lookup.find(name)
            if parse_state(found.said) != "paused":
                self._lookup.check_running(found, name)
                await self._put(found, "freeze")

        await self._patiently(name, f"pause {name}", attempt)

    async def resume(self, name: str) -> None:
        async def attempt() -> None:
            found = await self._lookup.find(name)
            if parse_state(found.said) == "paused":
                await self._put(found, "unfreeze")
            else:
                self._lookup.check_running(found, name)

        await self._patiently(name, f"resume {name}", attempt)

    async def _boot(self, found: Found) -> None:
        """Where the node can't show a folder with the container's own owners, it is shown with its own."""
        try:
            await self._put(found, "start")
        except Refused as exc:
            devices = build_unshifted(found.said["devices"])
            if not _NO_SHIFT.search(exc.words) or devices == found.said["devices"]:
                raise
            await self._engine.ask("PATCH", found.path, params=found.params, json={"devices": devices})
            await self._put(found, "start")

    async def _end(self, found: Found, timeout_seconds: float) -> None:
        """Asks its init, and ends it where that doesn't help."""
        if timeout_seconds > 0:
            try:
                await self._put(found, "stop", timeout=math.ceil(timeout_seconds))
            except Refused as exc:
                if exc.is_busy or exc.is_outrun:
                    raise
            else:
                return
        await self._put(found, "stop", force=True)

    async def _wait_until_put_away(self, found: Found) -> None:
        """Two stops at once can end before the daemon has cleaned up; while it does, it calls the instance running."""
        for _ in range(LOOKS):
            said = await self._engine.find(found.path, **found.params)
            if said is None or parse_state(said) != "stopped" or said["config"].get(_LAST_STATE) != "RUNNING":
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _put(self, found: Found, action: str, **how: Any) -> None:
        body = {"action": action, "timeout": -1, "force": False, **how}
        await self._engine.change("PUT", f"{found.path}/state", params=found.params, json=body)

    async def _patiently(self, name: str, what: str, attempt: Callable[[], Awaitable[None]]) -> None:
        async with self._engine.doing(what):
            for left in reversed(range(_TRIES)):
                try:
                    return await attempt()
                except Refused as exc:
                    if not (exc.is_busy or exc.is_absent or (exc.is_outrun and left)):
                        raise
                    if (found := await self._lookup.lookup(name)) is not None:
                        await self._engine.wait_for_others(found.project, found.engine_name)
                        await self._wait_until_put_away(found)
        raise Busy(f"can't {what} on node {self._engine.node}: something else is always being done to it")


def build_unshifted(devices: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the same devices, without the wish that owners be shifted."""
    return {name: {key: value for key, value in device.items() if key != "shift"} for name, device in devices.items()}
