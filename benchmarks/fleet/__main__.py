"""The fleet alone, which needs neither root nor engines: `python -m benchmarks.fleet [--nodes N]`."""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.preloaded import OFF

from benchmarks.measure import Report

from .bench import Scale, run


def main() -> None:
    os.environ[OFF] = "1"  # servers start as those of users do, not as those of tests
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--nodes", type=int, default=Scale.nodes)
    parser.add_argument("--idle", type=float, default=Scale.idle_seconds, metavar="SECONDS")
    parser.add_argument("--large", type=int, default=Scale.large, help="how many there are in a second fleet; 0: none")
    given = parser.parse_args()
    report = Report()
    with TemporaryDirectory(prefix="vdt-bench-", dir="/var/tmp") as folder:
        for nodes in filter(None, (given.nodes, given.large)):
            run(report, Path(folder), Scale(nodes=nodes, idle_seconds=given.idle))
    print(f"\n{report.summary()}")
    sys.exit(0 if all(line[3] for line in report.lines) else 1)


if __name__ == "__main__":
    main()
