"""What every test may use: nodes of its own or shared ones. And the rule that in CI nothing is skipped."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import pytest
from tests.preloaded import MEASURED, OFF, preloaded
from tests.suite import groups, parts
from tests.suite.durations import Durations, planned
from tests.suite.schedule import Groups
from tests.testbed import Node, Postgres, Registry, TestBed, missing

NodeFactory = Callable[..., Node]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def pytest_unconfigure() -> None:
    preloaded.close()


@pytest.fixture(scope="session")
def bed() -> Iterator[TestBed]:
    """One for each test process. A test that breaks its node takes one of its own, by `make_node`."""
    if reason := missing():
        pytest.skip(reason)
    with TestBed() as bed:
        yield bed


@pytest.fixture(scope="session")
def docker_node(bed: TestBed) -> Node:
    """A node with Docker and the image `busybox`, shared: leave it as you found it, and count on nothing but yours."""
    node = bed.node(docker=True)
    node.load_image("busybox")
    return node


@pytest.fixture
def make_node(bed: TestBed) -> Iterator[NodeFactory]:
    """Makes nodes for one test, by `TestBed.node`; they end with it."""
    made: list[Node] = []

    def make(**options: Any) -> Node:
        made.append(bed.node(**options))
        return made[-1]

    yield make
    for node in made:
        if node.is_up:
            node.kill()


@pytest.fixture(scope="session")
def registry(bed: TestBed) -> Registry:
    return bed.registry()


@pytest.fixture(scope="session")
def private_registry(bed: TestBed) -> Registry:
    """Wants its `credentials`."""
    return bed.registry(credentials=("puller", "let me in"))


@pytest.fixture(scope="session")
def postgres(bed: TestBed) -> Postgres:
    """A PostgreSQL server, shared: leave it running. A test that stops it takes one of its own, `bed.postgres()`."""
    return bed.postgres()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """An empty PostgreSQL database, for one test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vendetta")
    group.addoption("--thorough", action="store_true", help="run the tests marked thorough too")
    group.addoption("--slice", metavar="NUMBER/COUNT", help="run only this slice of the tests marked thorough")
    group.addoption("--slowest", action="store_true", help="show the slowest groups in the end")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seconds = planned()
    parts.select(config, items, seconds)
    if hasattr(config, "workerinput"):
        groups.sort_by_time(items, seconds)


def pytest_configure(config: pytest.Config) -> None:
    """A shell's background jobs ignore Ctrl-C, and so would every program that a test sends one."""
    config.pluginmanager.register(Groups())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(config))
    elif not config.getoption("thorough") and os.environ.pop("COVERAGE_PROCESS_CONFIG", None):
        # what the tests start is measured in the thorough part alone, but for the servers that are forked
        os.environ[MEASURED] = str(config.rootpath / "pyproject.toml")
    if config.getoption("thorough") or config.getoption("slice"):
        os.environ[OFF] = "1"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and (reason := missing()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_skip((yield))


def refuse_skip(report: Report) -> Report:
    """In CI a skip, and a test that is expected to fail, is a failure."""
    if report.skipped and os.environ.get("CI") == "true":
        report.longrepr = f"with CI=true nothing may be skipped: {reason_of(report)}"
        report.outcome = "failed"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    if expected := getattr(report, "wasxfail", None):
        return f"expected to fail: {expected}"
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The reasons of what was left out, counted, where the eye ends up."""
    reports = terminalreporter.getreports("skipped") + terminalreporter.getreports("xfailed")
    for reason, count in Counter(reason_of(report) for report in reports).most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}", yellow=True)
