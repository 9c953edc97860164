"""Finding containers that are ours. Everything that is not behaves as if it weren't there."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vendetta.errors import InstanceNotFound, WrongState
from vendetta.models import Instance
from vendetta.providers.identity import engine_name

from .engine import ENDLESS, Engine
from .errors import Refused
from .instances import has_our_name, parse_container, parse_summary
from .labels import OWNER, WORKSPACE, is_ours

Container = Mapping[str, Any]
"""`GET /containers/{id}/json`"""


class Containers:
    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self.owner = owner
        self._ours = {"label": [f"{OWNER}={owner}", WORKSPACE]}

    async def list(self) -> Sequence[Instance]:
        filters = msgspec.json.encode(self._ours).decode()
        async with (
            self._engine.doing("list workspaces"),
            self._engine.stream("GET", "containers/json", params={"all": "1", "filters": filters}) as response,
        ):
            summaries = msgspec.json.decode(await response.read(), type=list[dict[str, Any]])
        return [parse_summary(summary) for summary in summaries if has_our_name(summary)]

    async def lookup(self, name: str) -> Container | None:
        """Return whatever stands under our name for it, ours or not; None where nothing does."""
        return await self.lookup_engine_name(engine_name(name), f"inspect {name}")

    async def lookup_engine_name(self, engine_side: str, what: str) -> Container | None:
        async with self._engine.doing(what):
            try:
                found: Container = await self._engine.ask("GET", f"containers/{engine_side}/json")
                return found
            except Refused as exc:
                if exc.status == 404:
                    return None
                raise

    async def find(self, name: str) -> Container:
        """Return our container of this name (`GET /containers/{id}/json`). Raises `InstanceNotFound`."""
        container = await self.lookup(name)
        if container is None or not self.owns(container, name):
            raise InstanceNotFound(f'there is no "{name}" of ours on node {self._engine.node}', name=name)
        return container

    async def find_running(self, name: str) -> Container:
        """Return our container of this name if it runs. Raises `InstanceNotFound`, `WrongState`."""
        container = await self.find(name)
        if container["State"]["Status"] != "running":
            state = parse_container(container).state
            raise WrongState(
                f'"{name}" on node {self._engine.node} is {state}, not running', hint="Start it first.", state=state
            )
        return container

    async def delete(self, container: str, what: str, *, force: bool = False, volumes: bool = True) -> None:
        """Remove it with its anonymous volumes. Absent: success. If it is being removed already, wait for that to end.

        `what` is verb and object ("remove web").
        """
        async with self._engine.doing(what):
            path = f"containers/{container}"
            params = {"force": str(int(force)), "v": str(int(volumes))}
            try:
                try:
                    await self._engine.ask("DELETE", path, params=params, timeout=ENDLESS)
                except Refused as exc:
                    if exc.status != 409 or "in progress" not in exc.words:
                        raise
                    await self._engine.ask("POST", f"{path}/wait", params={"condition": "removed"}, timeout=ENDLESS)
            except Refused as exc:
                if exc.status != 404:
                    raise

    def owns(self, container: Container, name: str) -> bool:
        return is_ours(container["Config"]["Labels"], name, self.owner)
