"""Incus and LXD: create and start beside the native command typed on the node, and a listing of many instances."""

import asyncio
from itertools import count
from pathlib import Path

from tests.contract.images import build_system_root
from tests.contract.links import open_link
from tests.contract.sites import ignore_progress
from tests.testbed import Node, TestBed

from vendetta.models import InstanceSpec
from vendetta.providers.lxc import Daemon

from .measure import Report, in_turns

NUMBERS = count(1)
IMAGE = "bench"
MANY = 100
PROGRAMS: dict[str, str] = {"incus": "incus", "lxd": "lxc"}


def run(report: Report, bed: TestBed, folder: Path) -> None:
    node = bed.node(engines=["incus", "lxd"], groups=["incus-admin", "lxd"])
    root = folder / "root.tar"
    root.write_bytes(build_system_root())
    for name in PROGRAMS:
        asyncio.run(measure(report, node, name, folder))


async def measure(report: Report, node: Node, name: str, folder: Path) -> None:
    async with open_link(node, folder) as connection:
        provider = Daemon(connection, "bench", name)
        try:
            await provider.push_image(IMAGE, folder / "root.tar", ignore_progress)
            await create_and_start(report, provider, node, name)
            await listing(report, provider, name)
        finally:
            for instance in await provider.list():
                await provider.remove(instance.name, force=True)
            await provider.close()


async def create_and_start(report: Report, provider: Daemon, node: Node, name: str) -> None:
    async def ours() -> None:
        called = f"b{next(NUMBERS)}"
        await provider.create(called, InstanceSpec(image=IMAGE), ignore_progress)
        await provider.start(called)

    async def theirs() -> None:
        called = f"n{next(NUMBERS)}"
        await asyncio.to_thread(node.run, [PROGRAMS[name], "launch", IMAGE, called, "--quiet"])

    mine, native = await in_turns(9, ours, theirs)
    report.note(f"{name}: create and start", f"{mine * 1000:.0f} ms; {PROGRAMS[name]} launch {native * 1000:.0f} ms")
    report.at_most(f"{name}: create and start over SSH, against the native command", mine / native, 1.25, "x")


async def listing(report: Report, provider: Daemon, name: str) -> None:
    for first in range(0, MANY, 10):
        names = [f"l{number}" for number in range(first, first + 10)]
        await asyncio.gather(*(provider.create(one, InstanceSpec(image=IMAGE), ignore_progress) for one in names))
    found = len(await provider.list())
    (seconds,) = await in_turns(15, provider.list)
    report.at_most(f"{name}: list of {found} instances over SSH", seconds * 1000, 150, "ms")
