"""Two servers that place at once don't promise the same room twice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest
from tests.unit.store.samples import make_node, make_operation

from vendetta.coordination.operations import Steps
from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.errors import OutOfResources
from vendetta.models import InstanceSpec, ProviderStatus, Resources
from vendetta.store import Store

GIB = 2**30
CLAIMED = {"state": "claimed"}


@pytest.fixture
def resources() -> Resources:
    return Resources(cpus=64, memory_bytes=5 * GIB, disk_free_bytes=GIB, arch="x86_64", kernel="6.1", os="Debian")


class ClaimAlone:
    """`Steps` of which only the claim is done."""

    held = None

    def __init__(self, name: str) -> None:
        self.operation = make_operation(name, target=name)

    async def run(self, name: str, fn: Callable[[], Awaitable[object]]) -> object:
        return await fn()

    async def run_then(self, name: str, fn: object, then: object) -> object:
        return CLAIMED

    async def record(self, state: object, value: object) -> None:
        """Nothing is to go on from it."""


async def test_two_servers_never_overfill_a_node(database_url: str, resources: Resources) -> None:
    spec = msgspec.to_builtins(InstanceSpec(image="busybox", memory_bytes=GIB))
    given = {"spec": spec, "node": None, "provider": "docker", "placement": {}, "start": False}
    async with Store.open(database_url) as one, Store.open(database_url) as other:
        healthy = {"docker": ProviderStatus(state="healthy")}
        await one.nodes.add(make_node("gpu", status="connected", resources=resources, providers=healthy))
        nobody = cast(Any, None)
        placing = [Lifecycle(store, nobody, nobody, nobody) for store in (one, other)]
        claims = [
            lifecycle.handlers()["workspace.create"](cast(Steps, ClaimAlone(name)), given)
            for number in range(8)
            for lifecycle, name in zip(placing, (f"a{number}", f"b{number}"), strict=True)
        ]
        ended = await asyncio.gather(*claims, return_exceptions=True)
        refused = [error for error in ended if error != CLAIMED]
        assert [type(error) for error in refused] == [OutOfResources] * 11
        assert (await one.workspaces.promised())["gpu"].memory_bytes == 5 * GIB
