"""What the memory provider has beyond the contract: a test arranges its engine."""

import pytest
from tests.contract.local_transport import LocalTransport
from tests.contract.sites import finish, ignore_progress
from tests.doubles.memory import MemoryEngine, MemoryEngines, MemoryProvider

from vendetta.errors import ConnectionLost, EngineForbidden, EngineUnavailable, InvalidInput
from vendetta.models import InstanceSpec, Progress, ProviderStatus

SPEC = InstanceSpec(image="busybox")


async def test_every_node_has_its_own_engine() -> None:
    engines = MemoryEngines()
    provider = engines.bind(LocalTransport(), "us")
    await provider.create("web", SPEC, ignore_progress)
    assert list(engines["local"].instances) == ["web"]
    assert engines["other"].instances == {}
    await engines.close()


async def test_an_image_of_the_registry_is_fetched_with_progress() -> None:
    engine, seen = MemoryEngine(registry={"big": None}), list[Progress]()
    await MemoryProvider(engine, "us").create("web", InstanceSpec(image="big"), seen.append)
    assert [(progress.current, progress.total) for progress in seen] == [(0, 1), (1, 1)]
    assert "big" in engine.images


@pytest.mark.parametrize(("state", "error"), [("undetected", EngineUnavailable), ("unhealthy", EngineForbidden)])
async def test_an_engine_that_is_not_there(state: str, error: type[Exception]) -> None:
    engine = MemoryEngine(status=ProviderStatus(state=state, reason="because"))
    provider = MemoryProvider(engine, "us")
    assert (await provider.probe()).state == state
    with pytest.raises(error, match="because"):
        await provider.list()


async def test_a_call_can_be_made_to_fail() -> None:
    async def lose(verb: str, name: str) -> None:
        raise ConnectionLost(f"{verb} {name}")

    engine = MemoryEngine(on_call=lose)
    with pytest.raises(ConnectionLost, match="create web"):
        await MemoryProvider(engine, "us").create("web", SPEC, ignore_progress)
    assert engine.instances == {}


async def test_a_program_is_signalled() -> None:
    engine = MemoryEngine()
    provider = MemoryProvider(engine, "us")
    await provider.create("web", SPEC, ignore_progress)
    await provider.start("web")
    process = await provider.exec("web", ["sleep", "infinity"])
    with pytest.raises(InvalidInput):
        await process.signal("NONSENSE")
    await process.signal("INT")
    assert await finish(process) == (b"", b"", 130)
    await engine.close()
