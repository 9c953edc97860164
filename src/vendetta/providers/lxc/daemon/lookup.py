"""Finding instances that are ours, in whatever project. Everything that is not behaves as if it weren't there."""

from collections.abc import Mapping, Sequence
from typing import Any

from vendetta.errors import InstanceNotFound, WrongState
from vendetta.models import Instance
from vendetta.providers.identity import ENGINE_PREFIX, engine_name

from .engine import Engine
from .instances import parse_instance, parse_state
from .marks import WORKSPACE, is_ours


class Found:
    """One instance, and the way to it in the API."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.said = said
        self.config: Mapping[str, str] = said["config"]
        self.engine_name: str = said["name"]
        self.project: str = said.get("project") or "default"
        self.path = f"instances/{self.engine_name}"
        self.params = {"project": self.project}

    @property
    def instance(self) -> Instance:
        """Return it, with its address only where it was looked up with `state`."""
        return parse_instance(self.said)


class Lookup:
    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self.owner = owner

    async def list(self, *, whole: bool = False) -> Sequence[Found]:
        """Return ours, in one question however many there are; `whole`: with what they use and their snapshots."""
        async with self._engine.doing("list workspaces"):
            params = {"recursion": "2" if whole else "1", "all-projects": "true"}
            said = await self._engine.ask("GET", "instances", params=params)
            found = [Found(one) for one in [await self._complete(one) for one in said or ()] if one is not None]
        return [one for one in found if self.is_ours(one)]

    async def lookup(self, name: str, *, state: bool = False) -> Found | None:
        """Return what stands under our name for it, ours or not; None where nothing does. With its `state`: dearer."""
        return await self.lookup_engine_name(engine_name(name), f"inspect {name}", state=state)

    async def lookup_engine_name(self, called: str, what: str, *, state: bool = False) -> Found | None:
        """Return the same, for a name of the daemon's. `what` is verb and object ("inspect web")."""
        path, params = f"instances/{called}", {"recursion": "1"} if state else {}
        async with self._engine.doing(what):
            said = await self._engine.find(path, **params)
            if said is None and (project := await self._project_of(called)) is not None:
                said = await self._engine.find(path, project=project, **params)
        return None if said is None else Found(said)

    async def find(self, name: str, *, state: bool = False) -> Found:
        """Return our instance of this name. Raises `InstanceNotFound`."""
        found = await self.lookup(name, state=state)
        if found is None or not self.owns(found, name):
            raise InstanceNotFound(f'there is no "{name}" of ours on node {self._engine.node}', name=name)
        return found

    async def find_running(self, name: str, *, state: bool = False) -> Found:
        """Return our instance of this name if it runs. Raises `InstanceNotFound`, `WrongState`."""
        found = await self.find(name, state=state)
        self.check_running(found, name)
        return found

    def check_running(self, found: Found, name: str) -> None:
        if (state := parse_state(found.said)) != "running":
            raise WrongState(
                f'"{name}" on node {self._engine.node} is {state}, not running', hint="Start it first.", state=state
            )

    def owns(self, found: Found, name: str) -> bool:
        return is_ours(found.config, name, self.owner)

    def is_ours(self, found: Found) -> bool:
        """Return whether it is; False also for one that somebody renamed, which can't be reached by our name."""
        name = found.config.get(WORKSPACE)
        return name is not None and self.owns(found, name) and found.engine_name == engine_name(name)

    async def _complete(self, said: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """One whose state couldn't be read just then has its name alone in a listing: it is asked for by itself."""
        if said.get("config") is not None:
            return said
        if not said["name"].startswith(ENGINE_PREFIX):
            return None
        alone: Mapping[str, Any] | None = await self._engine.find(
            f"instances/{said['name']}", project=said.get("project") or "default"
        )
        return alone

    async def _project_of(self, called: str) -> str | None:
        """The project other than `default` that has one of this name; None where no other has."""
        paths = await self._engine.ask("GET", "instances", params={"all-projects": "true"})
        for path in paths or ():
            below, _, query = path.partition("?")
            if below.rpartition("/")[2] == called and query.startswith("project="):
                return str(query.removeprefix("project="))
        return None
