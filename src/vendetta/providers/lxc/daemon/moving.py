"""An instance taken to another daemon: as the backup that the daemons write and read, with its snapshots.

It arrives under a name of the move's own, is marked, and only then renamed: so one that has the workspace's name is
whole, and is known to be of this move.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from vendetta.errors import NameTaken, Unsupported, WrongState
from vendetta.models import Instance, InstanceSpec
from vendetta.providers.identity import engine_name
from vendetta.providers.lxc import options

from .engine import SENDING, Engine
from .errors import Refused
from .instances import parse_state
from .lookup import Found, Lookup
from .marks import MOVE, is_ours
from .pools import Pools
from .states import States

PIECE_BYTES = 1 << 18
MARK_LENGTH = 12
"""So much of the mark is in the name: the daemons' names have 63 characters."""


class Moves:
    def __init__(self, engine: Engine, lookup: Lookup, states: States, pools: Pools, owner: str) -> None:
        self._engine = engine
        self._lookup = lookup
        self._states = states
        self._pools = pools
        self._owner = owner

    async def check(self, name: str) -> Found:
        """Return it if it can be moved. Raises `Unsupported` where something is mounted, which lies on the node."""
        found = await self._lookup.find(name)
        devices = found.said["expanded_devices"].values()
        kept = [one for one in devices if one["type"] == "disk" and one.get("path") != "/"]
        if kept:
            what = ", ".join(f"{one.get('source')} at {one.get('path')}" for one in kept)
            raise Unsupported(
                f"{name} can't be moved: {what} would stay behind on node {self._engine.node}",
                hint="Stop it instead; or copy what is there away, and make it again without the mount.",
                mounts=[one.get("path") for one in kept],
            )
        return found

    async def export(self, name: str, mark: str) -> AsyncGenerator[bytes, None]:
        found = await self.check(name)
        if parse_state(found.said) in ("running", "paused"):
            raise WrongState(f"can't move {name} from node {self._engine.node}: it is running", hint="Stop it first.")
        await self._remove_backup(name, found, mark)
        async with self._engine.doing(f"read {name}"):
            how = {"name": mark, "instance_only": False, "optimized_storage": False, "compression_algorithm": "none"}
            await self._engine.change("POST", f"{found.path}/backups", params=found.params, json=how)
            async with self._engine.download(f"{found.path}/backups/{mark}/export", **found.params) as content:
                async for piece in content.iter_chunked(PIECE_BYTES):
                    yield piece
        await self._remove_backup(name, found, mark)

    async def take_in(self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]) -> Instance:
        if await self._lookup.lookup(name) is None:
            await self._discard(name, mark)
            await self._import(name, spec, mark, content)
        found = await self._lookup.lookup(name, state=True)
        if found is None or not self._lookup.owns(found, name) or found.config.get(MOVE) != mark:
            raise NameTaken(
                f"can't move {name} to node {self._engine.node}: there is another instance {engine_name(name)}",
                hint=f"What no workspace stands for there goes with: vendetta node cleanup {self._engine.node}",
            )
        return found.instance

    async def forget(self, name: str, mark: str) -> None:
        found = await self._lookup.lookup(name)
        if found is not None and self._lookup.owns(found, name):
            if found.config.get(MOVE) == mark:
                await self._states.remove(name, force=True)
            else:
                await self._remove_backup(name, found, mark)
        await self._discard(name, mark)

    async def _import(self, name: str, spec: InstanceSpec, mark: str, content: AsyncIterator[bytes]) -> None:
        wanted = options.parse(spec)
        params = {"project": wanted.get("project", "default")}
        pool = wanted.get("pool") or await self._pools.of_profiles(wanted.get("profiles"), params["project"])
        arriving = build_name(name, mark)
        header = self._engine.dialect.header
        headers = {
            "Content-Type": "application/octet-stream",
            f"{header}-name": arriving,
            f"{header}-pool": pool,
        }
        async with self._engine.doing(f"write {name}"):
            await self._engine.change(
                "POST", "instances", params=params, data=content, headers=headers, timeout=SENDING
            )
            path = f"instances/{arriving}"
            await self._engine.ask("PATCH", path, params=params, json={"config": {MOVE: mark}})
            await self._engine.change("POST", path, params=params, json={"name": engine_name(name)})

    async def _discard(self, name: str, mark: str) -> None:
        """Remove what began to arrive."""
        found = await self._lookup.lookup_engine_name(build_name(name, mark), f"look what came of {name}")
        if found is None or not is_ours(found.config, name, self._owner):
            return
        async with self._engine.doing(f"remove what came of {name}"):
            await self._engine.wait_for_others(found.project, found.engine_name)
            await self._delete(found.path, found)

    async def _remove_backup(self, name: str, found: Found, mark: str) -> None:
        async with self._engine.doing(f"remove the copy of {name}"):
            await self._engine.wait_for_others(found.project, found.engine_name)
            await self._delete(f"{found.path}/backups/{mark}", found)

    async def _delete(self, path: str, found: Found) -> None:
        try:
            await self._engine.change("DELETE", path, params=found.params)
        except Refused as exc:
            if exc.status != 404:
                raise


def build_name(name: str, mark: str) -> str:
    """Build the daemon's name of what arrives, until it is whole."""
    return f"{engine_name(name)}-{mark[:MARK_LENGTH]}"
