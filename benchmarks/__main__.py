"""Runs every benchmark on nodes of its own and prints a line for each promise. Exits with 1 if one is missed."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.harness import fresh_vendetta
from tests.testbed import TestBed

from . import bulk, calls, classic, containers, daemons, fleet, many, qemu
from .measure import Report


def main() -> None:
    report = Report()
    with ExitStack() as stack:
        bed = stack.enter_context(TestBed())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="vdt-bench-", dir="/var/tmp")))
        nodes = bed.nodes(3, docker=True)
        for node in nodes:
            node.load_image("busybox")
        with fresh_vendetta() as vendetta:
            calls.run(report, vendetta, nodes[0], folder)
        with fresh_vendetta() as vendetta:
            many.run(report, vendetta, bed, nodes)
        with fresh_vendetta() as vendetta:
            bulk.run(report, vendetta, nodes[0], folder)
        containers.run(report, nodes[0], folder)
        daemons.run(report, bed, folder)
        classic.run(report, bed, folder)
        qemu.run(report, bed.node(), folder)
        fleet.run(report, folder)
    print(f"\n{report.summary()}")
    sys.exit(0 if all(line[3] for line in report.lines) else 1)


if __name__ == "__main__":
    main()
