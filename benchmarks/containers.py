"""Docker: a listing of many containers, through the provider over SSH."""

import asyncio
from pathlib import Path

from tests.contract.links import open_link
from tests.contract.sites import ignore_progress
from tests.testbed import Node

from vendetta.models import InstanceSpec
from vendetta.providers.docker import DockerProvider

from .measure import Report, in_turns

MANY = 100


def run(report: Report, node: Node, folder: Path) -> None:
    """`node` has Docker and the image `busybox`."""
    asyncio.run(measure(report, node, folder))


async def measure(report: Report, node: Node, folder: Path) -> None:
    async with open_link(node, folder) as connection:
        provider = DockerProvider(connection, "bench")
        try:
            names = [f"l{number}" for number in range(MANY)]
            await asyncio.gather(
                *(provider.create(one, InstanceSpec(image="busybox"), ignore_progress) for one in names)
            )
            (seconds,) = await in_turns(15, provider.list)
            report.at_most(f"docker: list of {MANY} instances over SSH", seconds * 1000, 150, "ms")
        finally:
            await asyncio.gather(*(provider.remove(one, force=True) for one in names))
            await provider.close()
