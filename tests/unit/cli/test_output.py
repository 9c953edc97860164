import json

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, items
from tests.unit.client.samples import NODE, WORKSPACE

from vendetta.cli.output import colored_state, render_lines, render_table
from vendetta.errors import NodeNotFound


def test_columns_are_aligned_by_what_is_seen() -> None:
    table = render_table(["NAME", "STATE", "AGE"], [["web", colored_state("running"), "3m"], ["a-long-one", "x", ""]])
    assert table.replace("\x1b[32m", "").replace("\x1b[0m", "") == (
        "NAME         STATE     AGE\n"
        "web          running   3m\n"
        "a-long-one   x\n"
    )  # fmt: skip


def test_labels_are_aligned() -> None:
    assert render_lines([("A", "1"), ("Long", "2"), ("", "3")]) == "A:     1\nLong:  2\n       3\n"


def test_a_table_without_rows_is_its_header(fake: FakeServer, cli: Cli) -> None:
    fake.routes["GET /workspaces"] = items()
    ended = cli("workspace", "list")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split() == ["NAME", "NODE", "PROVIDER", "IMAGE", "STATE", "SINCE", "AGE"]


@pytest.mark.parametrize("args", [("-o", "json", "ws", "ls"), ("ws", "-o", "json", "ls"), ("ws", "ls", "-ojson")])
def test_global_options_stand_anywhere(fake: FakeServer, cli: Cli, args: tuple[str, ...]) -> None:
    fake.routes["GET /workspaces"] = items(WORKSPACE)
    assert [found["name"] for found in json.loads(cli(*args).out)] == ["web"]


def test_names_and_yaml(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"GET /nodes": items(NODE, NODE), "GET /nodes/gpu": NODE}
    assert cli("node", "list", "-o", "name").out == "gpu\ngpu\n"
    out = cli("node", "status", "gpu", "-o", "yaml").out
    assert "name: gpu\n" in out
    assert out.index("name: gpu") < out.index("address: gpu.lan")


def test_an_error_is_the_problem_for_programs(fake: FakeServer, cli: Cli) -> None:
    fake.routes["GET /nodes/x"] = NodeNotFound("no node x", hint="See: vendetta node list", name="x")
    ended = cli("node", "status", "x")
    assert (ended.status, ended.out) == (3, "")
    assert ended.err == "error: no node x\nhint: See: vendetta node list\n"
    ended = cli("node", "status", "x", "-o", "json")
    problem = json.loads(ended.err)
    assert (ended.status, problem["code"], problem["details"]) == (3, "node_not_found", {"name": "x"})


def test_a_usage_error_is_one_too(cli: Cli) -> None:
    ended = cli("node", "list", "--bogus", "-o", "json")
    assert (ended.status, json.loads(ended.err)["code"]) == (2, "invalid_input")
    ended = cli("nod")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == 'error: there is no command "nod". Did you mean "node"?\nhint: See: vendetta --help\n'


def test_what_nobody_expected_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr("vendetta.cli.session.Session.connect", fail)
    ended = cli("node", "list")
    assert ended.status == 1
    assert ended.err.startswith("error: unexpected RuntimeError: odd\nhint: ")
    assert "Traceback" not in ended.err
    assert "Traceback" in cli("node", "list", "-v").err


def test_bad_servers_and_absent_ones(cli: Cli) -> None:
    assert cli("--server", "nonsense", "node", "list").status == 2
    ended = cli("--server", "unix:///absent", "node", "list")
    assert ended.status == 5
    assert "no server answers at unix:///absent" in ended.err
