"""Rotate the server's own key: install a new one on every node, prove it there, then remove the old one.

A node has one of the two at any moment, and the server offers both until every node has the new one. Where a node
fails, the next rotation goes on with the same new key.
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
    """The operation `key.rotate`. `keep` are key files that a setting names: removed from the nodes, but kept here."""

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
        """Submit a rotation on the nodes of the request, or on all where it names none. Raises `NodeNotFound`.

        The operation's result is a `KeyRotation`.
        """
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
        """Exchange the keys on the nodes, AT_ONCE at a time, and report each outcome as progress."""
        slots = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(name: str) -> NodeRotation:
            nonlocal done
            async with slots:
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
        """Put the new key in the old one's place, if every node that there is now has it."""
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
    """Put the new key in place of the old ones, on one node."""

    def __init__(self, store: Store, events: Events, connector: Connector, key_install: KeyInstall) -> None:
        self._store = store
        self._events = events
        self._connector = connector
        self._key_install = key_install

    async def on(self, name: str, key: Key, retired: Sequence[Key], operation: Operation) -> NodeRotation:
        """Exchange the keys on the node, and return the outcome, which is an event too.

        Raises `StoreUnavailable`; any other error is the outcome's `error`.
        """
        try:
            await self._replace(name, key, retired)
        except StoreUnavailable:
            raise  # not the node's fault
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
        # not the pool's connection, which may be dead without that being noticed yet
        connection = await self._connector.open(endpoint)
        try:
            await self._check_bastions(endpoint, key, retired)
            like = [old.public_key for old in retired]
            await self._key_install.install(connection, endpoint, key, like=like)
            await self._key_install.withdraw(connection, endpoint, retired, for_=key)
        finally:
            await connection.close()

    async def _check_bastions(self, endpoint: Endpoint, key: Key, retired: Sequence[Key]) -> None:
        """Raise `AuthFailed` where a host on the way accepts a key that is to be removed, but not the new one."""
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
