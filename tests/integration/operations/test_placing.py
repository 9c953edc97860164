"""Two servers that place at once don't promise the same room twice."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from tests.unit.store.samples import make_node, make_operation

from vendetta.coordination.workspaces.lifecycle import Lifecycle
from vendetta.errors import OutOfResources
from vendetta.models import InstanceSpec, ProviderStatus, Resources
from vendetta.store import Store

GIB = 2**30


@pytest.fixture
def resources() -> Resources:
    return Resources(cpus=64, memory_bytes=5 * GIB, disk_free_bytes=GIB, arch="x86_64", kernel="6.1", os="Debian")


async def test_two_servers_never_overfill_a_node(database_url: str, resources: Resources) -> None:
    spec = msgspec.to_builtins(InstanceSpec(image="busybox", memory_bytes=GIB))
    given = {"spec": spec, "node": None, "provider": "docker", "placement": {}, "start": False}
    async with Store.open(database_url) as one, Store.open(database_url) as other:
        healthy = {"docker": ProviderStatus(state="healthy")}
        await one.nodes.add(make_node("gpu", status="connected", resources=resources, providers=healthy))
        nobody = cast(Any, None)
        placing = [Lifecycle(store, nobody, nobody, nobody) for store in (one, other)]
        claims = [
            transitions._claim(
                cast(Any, SimpleNamespace(operation=make_operation(name, target=name), held=None)), given
            )
            for number in range(8)
            for transitions, name in zip(placing, (f"a{number}", f"b{number}"), strict=True)
        ]
        ended = await asyncio.gather(*claims, return_exceptions=True)
        refused = [error for error in ended if error is not None]
        assert [type(error) for error in refused] == [OutOfResources] * 11
        assert (await one.workspaces.promised())["gpu"].memory_bytes == 5 * GIB
