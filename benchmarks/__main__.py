"""Runs every benchmark, or those that are named, on nodes of its own and prints a line for each promise.

Exits with 1 if one is missed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.harness import fresh_vendetta
from tests.preloaded import OFF
from tests.testbed import Node, TestBed

from . import bulk, calls, classic, containers, daemons, many, operations, qemu, reach
from .fleet import bench as fleet
from .fleet import replicas
from .fleet.bench import Scale
from .measure import Report


def main() -> None:
    os.environ[OFF] = "1"  # servers start as those of users do, not as those of tests
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; without one, all")
    parser.add_argument("--nodes", type=int, default=Scale.nodes, help="how many the simulated fleet has")
    parser.add_argument(
        "--replicas", type=int, default=Scale.replicas, metavar="N", help="servers that are held against one of them"
    )
    parser.add_argument("--large", type=int, default=Scale.large, help="how many a second fleet has; 0: none")
    given = parser.parse_args()
    names = given.names or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: there are {', '.join(BENCHMARKS)}")
    benchmarks = {
        **BENCHMARKS,
        "fleet": partial(run_fleet, scale=Scale(nodes=given.nodes, large=given.large, replicas=given.replicas)),
    }
    report = Report()
    with TestBed() as bed:
        for name in names:
            # a folder for each: what one of them pinned of its node is nothing to the next
            with TemporaryDirectory(prefix="vdt-bench-", dir="/var/tmp") as folder:
                benchmarks[name](report, bed, Path(folder))
    print(f"\n{report.summary()}")
    sys.exit(0 if all(line[3] for line in report.lines) else 1)


def run_calls(report: Report, bed: TestBed, folder: Path) -> None:
    with fresh_vendetta() as vendetta:
        calls.run(report, vendetta, docker_nodes(bed, 1)[0], folder)


def run_many(report: Report, bed: TestBed, folder: Path) -> None:
    with fresh_vendetta() as vendetta:
        many.run(report, vendetta, bed, docker_nodes(bed, 3))


def run_bulk(report: Report, bed: TestBed, folder: Path) -> None:
    with fresh_vendetta() as vendetta:
        bulk.run(report, vendetta, docker_nodes(bed, 1)[0], folder)


def run_containers(report: Report, bed: TestBed, folder: Path) -> None:
    containers.run(report, docker_nodes(bed, 1)[0], folder)


def run_qemu(report: Report, bed: TestBed, folder: Path) -> None:
    qemu.run(report, bed.node(), folder)


def run_reach(report: Report, bed: TestBed, folder: Path) -> None:
    reach.run(report, folder)


def run_fleet(report: Report, bed: TestBed, folder: Path, scale: Scale = Scale()) -> None:  # noqa: B008 - frozen
    for nodes in filter(None, (scale.nodes, scale.large)):
        fleet.run(report, folder, replace(scale, nodes=nodes))
    if scale.replicas > 1:
        replicas.run(report, bed, folder, scale)


def docker_nodes(bed: TestBed, number: int) -> list[Node]:
    nodes = bed.nodes(number, docker=True)
    for node in nodes:
        node.load_image("busybox")
    return nodes


BENCHMARKS: Mapping[str, Callable[[Report, TestBed, Path], None]] = {
    "calls": run_calls,
    "many": run_many,
    "bulk": run_bulk,
    "containers": run_containers,
    "daemons": daemons.run,
    "classic": classic.run,
    "qemu": run_qemu,
    "reach": run_reach,
    "operations": operations.run,
    "fleet": run_fleet,
}


if __name__ == "__main__":
    main()
