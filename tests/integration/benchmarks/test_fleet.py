"""The simulated fleet is one that a real server works with. How fast it is, is for `scripts/bench` to say."""

from pathlib import Path

from benchmarks.fleet.bench import Scale, run
from benchmarks.measure import Report

SMALL = Scale(
    nodes=3,
    workspaces_each=2,
    idle_seconds=0.1,
    deaths=2,
    operations=2,
    node_timeout_seconds=0.5,
    keepalive_seconds=0.5,
)


def test_every_figure_is_taken(tmp_path: Path) -> None:
    report = Report()
    run(report, tmp_path, SMALL)
    holds = {what: ok for what, _, _, ok in report.lines}
    assert {what for what, ok in holds.items() if "of those" in what and not ok} == set()
    for figure in (
        "idle",
        "memory",
        "list of 3 nodes",
        "list of 6 workspaces",
        "shown to a watcher",
        "durable",
        "silent",
    ):
        assert any(figure in what for what in holds), figure
