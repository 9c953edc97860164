"""Rotating the server's own key: a new one onto every node, proved there, then the old one away.

A node has one of the two at any moment, and the server offers both until every node has the new one. What a node that
fails leaves to do, the next rotation does: it goes on with the same new key.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from vendetta.coordination.ask import Ask
from vendetta.coordination.cluster.credentials import Credentials
from vendetta.coordination.engines import build_endpoint
from vendetta.coordination.events import Events
from vendetta.coordination.operations import Handler, Operations, Steps
from vendetta.coordination.requests import RotateRequest
from vendetta.coordination.store_retry import retry_while_store_is_down
from vendetta.errors import AuthFailed, VendettaError
from vendetta.models import Key, KeyRotation, NodeRotation, Operation, Problem, Progress
from vendetta.ssh.endpoint import Endpoint
from vendetta.ssh.identity.succession import Succession
from vendetta.ssh.login import Connector
from vendetta.store import Store, StoreUnavailable

from .key_install import KeyInstall

KIND = "key.rotate"
TARGET = "server"
AT_ONCE = 16


class KeyRotations:
    """`keep` are key files that a setting names: they are taken off the nodes, and stay where they are."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        credentials: Credentials,
        succession: Succession,
        exchange: "KeyExchange",
        keep: Sequence[Path] = (),
    ) -> None:
        self._store = store
        self._operations = operations
        self._credentials = credentials
        self._succession = succession
        self._exchange = exchange
        self._keep = tuple(keep)

    def handlers(self) -> Mapping[str, Handler]:
        return {KIND: self._rotate}

    async def submit(self, ask: Ask, request: RotateRequest) -> Operation:
        """Of these nodes; none: of all. Its result is a `KeyRotation`. Raises `NodeNotFound`."""
        for name in request.nodes:
            await self._store.nodes.get(name)
        return await self._operations.submit(ask, KIND, TARGET, request.build_input())

    async def _rotate(self, steps: Steps, given: dict[str, Any]) -> dict[str, Any]:
        plan = await steps.run("prepare", lambda: self._prepare(given))
        await self._credentials.pull()  # where another replica began it
        key = self._succession.here(msgspec.convert(plan["key"], Key))
        retired = [self._succession.here(old) for old in msgspec.convert(plan["retired"], list[Key])]
        outcomes = await steps.run("nodes", lambda: self._all(steps, plan["nodes"], key, retired))
        nodes = msgspec.convert(outcomes, list[NodeRotation])
        return await steps.run("complete", lambda: self._complete(key, retired, nodes))

    # the steps: each may run twice

    async def _prepare(self, given: dict[str, Any]) -> dict[str, Any]:
        await self._credentials.pull()
        key = await self._succession.begin(given["type"])
        await self._credentials.share_keys()
        retired = self._succession.retired()
        names = given["nodes"] or [node.name for node in await self._store.nodes.all()]
        return {"key": key, "retired": retired, "nodes": names}

    async def _all(self, steps: Steps, names: Sequence[str], key: Key, retired: Sequence[Key]) -> list[NodeRotation]:
        """Side by side, a few at a time; each outcome is told as it comes."""
        turns = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(name: str) -> NodeRotation:
            nonlocal done
            async with turns:
                outcome = await retry_while_store_is_down(
                    lambda: self._exchange.on(name, key, retired, steps.operation)
                )
            done += 1
            word = "has the new key" if outcome.error is None else "keeps the old key"
            part = msgspec.to_builtins(outcome)
            steps.progress(Progress(message=f"{name} {word}", current=done, total=len(names), part=part))
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name)) for name in names]
        return [task.result() for task in tasks]

    async def _complete(self, key: Key, retired: Sequence[Key], nodes: list[NodeRotation]) -> dict[str, Any]:
        """The new key takes the old one's place once it is on every node that there is now."""
        rotated = {outcome.node for outcome in nodes if outcome.error is None}
        everybody = await self._store.nodes.all()
        left = [node.name for node in everybody if node.name not in rotated]
        if not left:
            keep = [*self._keep, *(Path(node.identity) for node in everybody if node.identity)]
            key = self._succession.complete(key, retired, keep)
            await self._credentials.share_keys()
        done: dict[str, Any] = msgspec.to_builtins(KeyRotation(key=key, nodes=nodes, left=left, finished=not left))
        return done


class KeyExchange:
    """The new key in place of the old ones, on one node."""

    def __init__(self, store: Store, events: Events, connector: Connector, key_install: KeyInstall) -> None:
        self._store = store
        self._events = events
        self._connector = connector
        self._key_install = key_install

    async def on(self, name: str, key: Key, retired: Sequence[Key], operation: Operation) -> NodeRotation:
        """Exchange the keys on the node, tell by an event what came of it, and return that.

        Raises `StoreUnavailable`; whatever else fails is the outcome's error.
        """
        try:
            await self._replace(name, key, retired)
        except StoreUnavailable:
            raise  # nothing that the node has done
        except VendettaError as exc:
            problem = Problem.from_error(exc)
            await self._events.emit(
                "node.key_kept", name, operation.actor, operation=operation.id, reason=exc.message, hint=exc.hint
            )
            return NodeRotation(node=name, error=problem)
        await self._events.emit(
            "node.key_rotated", name, operation.actor, operation=operation.id, fingerprint=key.fingerprint
        )
        return NodeRotation(node=name)

    async def _replace(self, name: str, key: Key, retired: Sequence[Key]) -> None:
        endpoint = build_endpoint(await self._store.nodes.get(name))
        # one of its own: the pool's may have been dead for a while without anybody knowing
        connection = await self._connector.open(endpoint)
        try:
            await self._check_bastions(endpoint, key, retired)
            like = [old.public_key for old in retired]
            await self._key_install.install(connection, endpoint, key, like=like)
            await self._key_install.withdraw(connection, endpoint, retired, for_=key)
        finally:
            await connection.close()

    async def _check_bastions(self, endpoint: Endpoint, key: Key, retired: Sequence[Key]) -> None:
        """Raises `AuthFailed` where a host on the way lets in a key that is to go, and the new one not."""
        for bastion in await self._connector.bastions(endpoint):
            if await self._connector.takes_key(bastion, key.public_key):
                continue
            for old in retired:
                if await self._connector.takes_key(bastion, old.public_key):
                    raise AuthFailed(
                        f"{bastion.node}, on the way to node {endpoint.node}, lets in the old key and not the new one",
                        hint=f"Put the new one into authorized_keys there, then run this again: {key.public_key}",
                        node=endpoint.node,
                    )
