"""The simulated fleet is one that a real server works with. How fast it is, is for `scripts/bench` to say."""

from pathlib import Path

import pytest
from benchmarks.fleet import replicas
from benchmarks.fleet.bench import Scale, run
from benchmarks.fleet.replicas import Carried, Cores, compare
from benchmarks.measure import Report
from tests.testbed import TestBed

SMALL = Scale(
    nodes=3,
    workspaces_each=2,
    idle_seconds=0.1,
    deaths=2,
    operations=2,
    node_timeout_seconds=0.5,
    keepalive_seconds=0.5,
    lists=1,
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


@pytest.mark.root
def test_two_servers_are_held_against_one(bed: TestBed, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    replicas.run(report, bed, tmp_path, SMALL)
    assert {what for what, _, _, ok in report.lines if "of those" in what and not ok} == set()
    said = capsys.readouterr().out
    for what in ("operations", "lists"):
        for servers in (1, 2):
            assert f"{what}, {servers} on PostgreSQL: " in said
        assert f"{what}, 2 servers against one: " in said
        assert any(f"{what}, 2 servers against one, by the CPU time" in line[0] for line in report.lines)


@pytest.mark.parametrize("rate", [1.6, 1.8])
def test_the_ratio_is_held_to_its_promise_where_there_are_the_cores(rate: float) -> None:
    one, two = Carried(1, 1.0, 0.01, 0.0), Carried(2, rate, 0.01, 0.0)
    report = Report()
    compare(report, "lists", one, two, Cores(there=5, servers=2, fleet=1))
    assert [line[3] for line in report.lines] == [rate > 1.7, True]


def test_where_there_are_too_few_cores_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = Carried(1, 1.0, 0.01, 0.0), Carried(2, 1.0, 0.02, 0.0)
    report = Report()
    compare(report, "lists", one, two, Cores(there=4, servers=2, fleet=1))
    assert "take 5 cores, and here are 4" in capsys.readouterr().out
    assert [(line[0], line[3]) for line in report.lines] == [
        ("lists, 2 servers against one, by the CPU time of each", False)
    ]
