"""Classic LXC: create and start beside the commands typed on the node, and a listing."""

import asyncio
from itertools import count
from pathlib import Path

from tests.contract.links import open_link
from tests.testbed import Node, TestBed

from vendetta.models import InstanceSpec
from vendetta.providers.lxc import Classic

from .measure import Report, in_turns

TIMES = 15
SPEC = InstanceSpec(image="busybox")
NUMBERS = count(1)


def run(report: Report, bed: TestBed, folder: Path) -> None:
    """On a node of its own, through the provider over SSH, as the server would."""
    asyncio.run(_run(report, bed.node(engines=["lxc"], sudo="nopasswd"), folder))


async def _run(report: Report, node: Node, folder: Path) -> None:
    async with open_link(node, folder) as connection:
        provider = Classic(connection, "bench")
        for number in range(TIMES + 1):
            await provider.create(f"made-{number}", SPEC, lambda _: None)
            await _type(node, f"lxc-create -t busybox -n made-{number}")
        mine, typed = (map(str, range(TIMES + 1)) for _ in range(2))
        ours, theirs, start, alone = await in_turns(
            TIMES,
            lambda: _create_and_start(provider, f"both-{next(NUMBERS)}"),
            lambda: _type(node, "lxc-create -t busybox -n NAME && lxc-start -n NAME"),
            lambda: provider.start(f"made-{next(mine)}"),
            lambda: _type(node, f"lxc-start -n made-{next(typed)}"),
        )
        report.note("lxc: create and start", f"{ours * 1000:.0f} ms; lxc-create and lxc-start {theirs * 1000:.0f} ms")
        report.at_most("lxc: create and start, against lxc-create and lxc-start", ours / theirs, 1.25, "x")
        report.note("lxc: start", f"{start * 1000:.0f} ms; lxc-start {alone * 1000:.0f} ms")
        (listing,) = await in_turns(TIMES, provider.list)
        report.note(f"lxc: a listing of {len(await provider.list())}", f"{listing * 1000:.0f} ms")


async def _create_and_start(provider: Classic, name: str) -> None:
    await provider.create(name, SPEC, lambda _: None)
    await provider.start(name)


async def _type(node: Node, line: str) -> None:
    """By a shell of the node itself, as root. NAME is a new one each time."""
    await asyncio.to_thread(node.run, ["sh", "-c", line.replace("NAME", f"typed-{next(NUMBERS)}")])
