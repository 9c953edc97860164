"""The operations on a workspace's snapshots. Every step can run twice, as in `lifecycle.py`."""

from collections.abc import Mapping

import msgspec

from vendetta.coordination.engines import Engines
from vendetta.coordination.operations import Handler, Steps
from vendetta.models import Progress
from vendetta.providers.powers import Snapshots, require
from vendetta.store import Store

from .lifecycle import Input, Lifecycle, Result


class Snapshotting:
    def __init__(self, store: Store, engines: Engines, lifecycle: Lifecycle) -> None:
        self._store = store
        self._engines = engines
        self._lifecycle = lifecycle

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "workspace.snapshot": self._create,
            "workspace.restore": self._restore,
            "workspace.remove-snapshot": self._remove,
        }

    async def _create(self, steps: Steps, given: Input) -> Result:
        """Take the snapshot, and return it as JSON values."""

        async def create() -> Result:
            name, snapshot = steps.operation.target, given["snapshot"]
            workspace = await self._store.workspaces.get(name)
            steps.progress(Progress(message=f"taking snapshot {snapshot} on {workspace.node}"))
            made = await self._engines.call(
                workspace.node,
                workspace.provider,
                lambda provider: require(provider, Snapshots).create_snapshot(name, snapshot),
            )
            result: Result = msgspec.to_builtins(made)
            return result

        return await steps.run("snapshot", create)

    async def _restore(self, steps: Steps, given: Input) -> Result:
        snapshot = given["snapshot"]
        return await self._lifecycle.settle(
            steps,
            "restore",
            lambda provider, name: require(provider, Snapshots).restore_snapshot(name, snapshot),
            f"going back to snapshot {snapshot}",
        )

    async def _remove(self, steps: Steps, given: Input) -> Result:
        snapshot = given["snapshot"]
        return await self._lifecycle.settle(
            steps,
            "remove snapshot",
            lambda provider, name: require(provider, Snapshots).remove_snapshot(name, snapshot),
            f"removing snapshot {snapshot}",
        )
