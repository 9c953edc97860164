import pytest
from tests.contract.local_transport import LocalTransport
from tests.doubles.memory import MemoryEngines, MemoryProvider

from vendetta.errors import InvalidInput, UnknownProvider
from vendetta.models import InstanceSpec
from vendetta.providers.docker import DockerProvider
from vendetta.providers.registry import Registry
from vendetta.providers.technology import Technology


@pytest.fixture
def registry() -> Registry:
    return Registry(Technology.of(DockerProvider), Technology.of(MemoryProvider, MemoryEngines().bind))


def test_kinds_and_their_powers(registry: Registry) -> None:
    assert registry.kinds == ("docker", "memory")
    assert registry.capabilities("docker") >= {"build", "direct", "files", "images", "logs", "snapshots", "watch"}
    assert registry.capabilities("memory") == {"checkup", "logs", "move", "stats", "watch"}


async def test_binding_makes_a_provider_of_the_kind(registry: Registry) -> None:
    assert isinstance(await registry.bind("docker", LocalTransport(), "us"), DockerProvider)
    assert isinstance(await registry.bind("memory", LocalTransport(), "us"), MemoryProvider)


def test_an_unknown_kind_names_what_there_is(registry: Registry) -> None:
    for use in (registry.check, registry.capabilities, registry.options):
        with pytest.raises(UnknownProvider, match='Did you mean "docker"') as caught:
            use("dokcer")
        assert caught.value.hint == "Known providers: docker, memory."


def test_a_spec_is_validated_without_a_node(registry: Registry) -> None:
    registry.validate("docker", InstanceSpec(image="debian"))
    with pytest.raises(InvalidInput):
        registry.validate("docker", InstanceSpec(image="debian", disk_bytes=1))
