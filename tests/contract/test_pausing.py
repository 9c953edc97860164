"""The contract of the power `pause`."""

import pytest
from tests.contract.sites import Spec, ignore_progress, started

from vendetta.errors import InstanceNotFound, WrongState
from vendetta.providers.base import Provider

pytestmark = pytest.mark.needs("pause")


async def test_a_paused_instance_goes_on(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    for _ in range(2):
        await provider.pause("web")
        assert (await provider.inspect("web")).state == "paused"
    for _ in range(2):
        await provider.resume("web")
        assert (await provider.inspect("web")).state == "running"


async def test_a_paused_instance_is_stopped(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec())
    await provider.pause("web")
    await provider.stop("web", timeout_seconds=1)
    assert (await provider.inspect("web")).state == "stopped"


async def test_what_does_not_run_is_not_paused(provider: Provider, spec: Spec) -> None:
    await provider.create("web", spec(), ignore_progress)
    with pytest.raises(WrongState):
        await provider.pause("web")
    with pytest.raises(WrongState):
        await provider.resume("web")
    with pytest.raises(InstanceNotFound):
        await provider.pause("other")
