"""The contract: what a spec allows is really all that there is."""

import asyncio

import pytest
from tests.contract.sites import Spec, finish, started

from vendetta.providers.base import Provider

MIB = 1024 * 1024

# two loops, so that they would take two processors where nothing holds them
BUSY = "for n in 1 2; do while :; do :; done >/dev/null 2>&1 & done"


@pytest.mark.needs("limits")
async def test_memory(provider: Provider, spec: Spec) -> None:
    """A program that takes less than it is allowed ends well, one that takes more doesn't."""
    await started(provider, "web", spec(memory_bytes=256 * MIB))
    for size, ends_well in ((64, True), (1024, False)):
        eat = ["dd", "if=/dev/zero", "of=/dev/null", f"bs={size}M", "count=1"]
        assert ((await finish(await provider.exec("web", eat)))[2] == 0) is ends_well


@pytest.mark.needs("pids")
async def test_processes(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(pids=20))
    for number, ends_well in ((5, True), (40, False)):
        script = f"n=0; while [ $n -lt {number} ]; do sleep 30 >/dev/null & n=$((n+1)); done; kill $(jobs -p)"
        _, stderr, _ = await finish(await provider.exec("web", ["sh", "-c", script]))
        assert (b"fork" not in stderr) is ends_well


@pytest.mark.needs("fractions", "stats")
async def test_a_part_of_a_processor(provider: Provider, spec: Spec) -> None:
    await started(provider, "web", spec(cpus=0.2))
    assert (await finish(await provider.exec("web", ["sh", "-c", BUSY])))[2] == 0
    loop = asyncio.get_running_loop()
    before, began = (await provider.stats("web")).cpu_seconds, loop.time()
    await asyncio.sleep(1)  # what is used is counted over a time
    used = (await provider.stats("web")).cpu_seconds - before
    assert used / (loop.time() - began) < 0.5
