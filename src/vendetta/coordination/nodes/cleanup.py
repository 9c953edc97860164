"""List what a node holds of this server, of known workspaces or not, and remove it, but nothing else."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.engines import Engines
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.operations.children import wait_for_child
from vendetta.coordination.requests import NodeCleanupRequest, RemoveRequest, validated
from vendetta.coordination.retry_rules import RETRIES
from vendetta.coordination.workspaces import Workspaces
from vendetta.errors import ProviderError, VendettaError
from vendetta.models import Belonging, CleanupResult, Operation, Progress
from vendetta.providers.powers import Belongings, require
from vendetta.store import Store

Given = dict[str, Any]


class Cleanup:
    def __init__(self, store: Store, engines: Engines, operations: Operations, workspaces: Workspaces) -> None:
        self._store = store
        self._engines = engines
        self._operations = operations
        self._workspaces = workspaces

    def handlers(self) -> Mapping[str, Handler]:
        return {"node.cleanup": self._clean}

    async def list(self, node: str, provider: str | None = None) -> Sequence[Belonging]:
        """List what is left on the node, of one technology or of all that run there.

        Raises `NodeNotFound`, `UnknownProvider`, `Unsupported`.
        """
        found: list[Belonging] = []
        for kind in [provider] if provider else await self._engines.able(node, "belongings"):
            # the node before the records: all that it lists had a record by then
            held = await self._engines.call(
                node, kind, lambda one: require(one, Belongings).list_belongings(), retries=RETRIES
            )
            known = {workspace.name for workspace in await self._store.workspaces.all(node=node, provider=kind)}
            found += [replace(one, provider=kind, in_use=is_in_use(one, known)) for one in held]
        return found

    async def submit(self, ask: Ask, node: str, request: NodeCleanupRequest) -> Operation:
        """Submit the clean-up. Its result is a `CleanupResult`. Raises `NodeNotFound`, `UnknownProvider`."""
        await self._store.nodes.get(node)
        if request.provider is not None:
            self._engines.registry.check(request.provider)
        return await self._operations.submit(ask, "node.cleanup", node, request.build_input())

    async def _clean(self, steps: Steps, given: Given) -> Given:
        request = validated(NodeCleanupRequest, given)

        async def settle() -> Sequence[Belonging]:
            return [
                one
                for one in await self.list(steps.operation.target, request.provider)
                if (request.workspaces or not one.in_use) and (request.only is None or one.id in request.only)
            ]

        belongings = msgspec.convert(await steps.run("settle what goes", settle), list[Belonging])
        removed: list[Belonging] = []
        failures: dict[str, str] = {}
        # a workspace's removal takes its snapshots along, so that it comes first
        for number, one in enumerate(sorted(belongings, key=lambda one: one.kind != "instance"), 1):
            steps.progress(Progress(message=f"removing {one.kind} {one.name} ({number} of {len(belongings)})"))
            try:
                await self._remove(steps, one)
                removed.append(one)
            except VendettaError as exc:
                failures[one.name] = exc.message
        if failures:
            why = "; ".join(f"{name}: {message}" for name, message in list(failures.items())[:3])
            raise ProviderError(
                f"clean up node {steps.operation.target}: {len(failures)} of {len(belongings)} are left ({why})",
                hint="What was removed is gone; try again for the rest.",
                removed=[one.name for one in removed],
                left=failures,
            )
        result: Given = msgspec.to_builtins(CleanupResult(removed=removed))
        return result

    async def _remove(self, steps: Steps, one: Belonging) -> None:
        node, kind = steps.operation.target, one.provider or ""
        if one.in_use and one.kind == "instance" and one.workspace is not None:
            await self._remove_workspace(steps, one.workspace)
            return

        async def take_away() -> None:
            await self._engines.call(node, kind, lambda able: require(able, Belongings).remove_belonging(one))

        await steps.run(f"remove {one.kind} {one.id}", take_away)

    async def _remove_workspace(self, steps: Steps, name: str) -> None:
        """Remove a workspace by an operation of its own, which waits for the others of the workspace."""
        ask = Ask(steps.operation.actor, steps.operation.id).for_one(name)
        request = RemoveRequest(force=True)

        async def remove() -> None:
            ended = await wait_for_child(
                self._operations, lambda: self._workspaces.change(ask, "workspace.remove", name, request)
            )
            if ended.error is not None:
                raise ended.error.to_error()

        await steps.run(f"remove workspace {name}", remove)


def is_in_use(belonging: Belonging, workspaces: Collection[str]) -> bool:
    """Return whether it is in use: what a known workspace has is, and every image, which was put there on purpose."""
    return belonging.kind == "image" or belonging.workspace in workspaces
