"""What a step writes of a workspace once another replica performs its operation: nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from tests.doubles.memory import MemoryEngine, MemoryProvider
from tests.unit.store.samples import make_node, make_workspace

from vendetta.coordination.events import Events
from vendetta.coordination.monitoring import Observation
from vendetta.models import InstanceSpec, Operation, Progress, Workspace
from vendetta.store import LeaseLost, OperationLease, Store

FIRST = OperationLease(operation="one", holder="first")


@dataclass
class Scene:
    store: Store
    provider: MemoryProvider
    observation: Observation
    """What the replica `first` writes."""
    workspace: Workspace


Write = Callable[[Scene], Awaitable[object]]

WRITES: dict[str, Write] = {
    "transition": lambda scene: scene.observation.transition(scene.workspace, "stopping", "stopped"),
    "settle": lambda scene: scene.observation.settle(scene.workspace, scene.provider),
    "unobserved": lambda scene: scene.observation.unobserved("web", "gone"),
    "forget": lambda scene: scene.observation.forget("web"),
}


def ignore(progress: Progress) -> None:
    """Nobody watches."""


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """`first` stops a workspace, which still runs."""
    engine = MemoryEngine(images={"busybox": None})
    provider, spec = MemoryProvider(engine, "us"), InstanceSpec(image="busybox")
    await provider.create("web", spec, ignore)
    async with Store.open(database_url) as store, Events(store) as events:
        await store.nodes.add(make_node("gpu", boot_id="one"))
        workspace = make_workspace("web", provider="memory", state="starting", spec=spec)
        await store.workspaces.add(workspace)
        operation = Operation(
            id="one",
            kind="workspace.stop",
            target="web",
            state="running",
            attempts=1,
            actor="me",
            created_at=datetime.now(UTC),
        )
        await store.operations.add(operation, {}, None, holder="first")
        yield Scene(store, provider, Observation(store, events).under(FIRST), await store.workspaces.get("web"))
    await engine.close()


async def changed(scene: Scene) -> bool:
    return [scene.workspace] != list(await scene.store.workspaces.all())


@pytest.mark.parametrize("write", WRITES)
async def test_who_performs_it_writes(scene: Scene, write: str) -> None:
    await WRITES[write](scene)
    assert await changed(scene)


@pytest.mark.parametrize("write", WRITES)
async def test_who_does_no_more_writes_nothing(scene: Scene, write: str) -> None:
    await scene.store.adoption.take_over("second", ["first"])
    with pytest.raises(LeaseLost):
        await WRITES[write](scene)
    assert not await changed(scene)
    assert (await scene.store.events.list()).items == []


async def test_nor_does_anybody_once_it_has_ended(scene: Scene) -> None:
    await scene.store.operations.finish("one", holder="first", state="failed")
    with pytest.raises(LeaseLost):
        await WRITES["transition"](scene)
    assert not await changed(scene)
