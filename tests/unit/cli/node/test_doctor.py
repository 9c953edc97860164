"""How an examination is shown, and what of it is told when a node is added."""

import json
from dataclasses import replace

import pytest
from tests.unit.cli.conftest import Cli
from tests.unit.client.fake_server import FakeServer, Reply
from tests.unit.client.samples import NODE, REPORT

from vendetta.errors import NodeNotFound, ServerUnavailable
from vendetta.models import Check

DOCTOR = "GET /nodes/gpu/doctor"
WELL = replace(REPORT, checks=[Check(name="login", state="ok", detail="me, by ssh-ed25519")])
WARNED = replace(REPORT, checks=[check for check in REPORT.checks if check.state != "failure"])


def test_each_check_is_a_line_and_each_mend_can_be_copied(fake: FakeServer, cli: Cli) -> None:
    fake.routes[DOCTOR] = REPORT
    ended = cli("node", "doctor", "gpu")
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert lines[0].split() == ["CHECK", "STATE", "DETAIL"]
    assert lines[2].split(maxsplit=2) == ["forward-tcp", "failure", "sshd forwards no ports"]
    assert lines.count("  sudo mend it") == 1
    assert lines[lines.index("  sudo mend it") - 1] == "  # forward-tcp, forward-unix"
    assert "  sudo modprobe kvm_intel" in lines
    assert ended.err == "node gpu: 2 failures, 1 warning, examined in 250.0 ms\n"


def test_warnings_are_no_failure(fake: FakeServer, cli: Cli) -> None:
    fake.routes[DOCTOR] = WARNED
    assert cli("node", "doctor", "gpu").status == 0


def test_a_node_that_is_well(fake: FakeServer, cli: Cli) -> None:
    fake.routes[DOCTOR] = WELL
    ended = cli("node", "doctor", "gpu")
    assert (ended.status, "mend" in ended.out) == (0, False)
    assert ended.err == "node gpu: all is well, examined in 250.0 ms\n"


def test_for_programs_it_is_the_whole_report(fake: FakeServer, cli: Cli) -> None:
    fake.routes[DOCTOR] = REPORT
    ended = cli("node", "doctor", "gpu", "-o", "json")
    assert (ended.status, ended.err) == (1, "")
    report = json.loads(ended.out)
    assert (report["node"], [check["state"] for check in report["checks"]][:2]) == ("gpu", ["ok", "failure"])
    assert "detail: sshd forwards no ports" in cli("node", "doctor", "gpu", "-o", "yaml").out
    assert cli("node", "doctor", "gpu", "-o", "name").out == "forward-tcp\nforward-unix\nkvm\n"


def test_a_node_that_there_is_not(fake: FakeServer, cli: Cli) -> None:
    fake.routes[DOCTOR] = NodeNotFound("there is no node gpu")
    assert cli("node", "doctor", "gpu").status == 3


def test_states_have_their_colours(fake: FakeServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendetta.cli.session.Session.colored", lambda self, err=False: True)
    fake.routes[DOCTOR] = REPORT
    out = cli("node", "doctor", "gpu").out
    assert "\x1b[31mfailure\x1b[0m" in out
    assert "\x1b[33mwarning\x1b[0m" in out
    assert "\x1b[32mok\x1b[0m" in out


def test_add_tells_what_keeps_the_node_from_being_of_use(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"POST /nodes": Reply(201, NODE), DOCTOR: REPORT}
    ended = cli("node", "add", "gpu", "gpu.lan", "--accept-new")
    assert ended.status == 0
    assert "docker 24.0.7 healthy" in ended.out
    assert "failure: forward-tcp: sshd forwards no ports\n" in ended.err
    assert "  sudo mend it\n" in ended.err
    assert fake.asked(DOCTOR)[0].query == {"essential": ["true"]}


def test_add_says_no_more_where_all_is_well(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"POST /nodes": Reply(201, NODE), DOCTOR: WELL}
    assert cli("node", "add", "gpu", "gpu.lan", "--accept-new").err == "node gpu added\n"


def test_add_has_added_the_node_even_if_it_can_not_be_examined(fake: FakeServer, cli: Cli) -> None:
    fake.routes |= {"POST /nodes": Reply(201, NODE), DOCTOR: ServerUnavailable("the server is stopping")}
    ended = cli("node", "add", "gpu", "gpu.lan", "--accept-new")
    assert (ended.status, "examine node gpu: the server is stopping" in ended.err) == (0, True)


@pytest.mark.parametrize("more", [("--no-connect",), ("-o", "json"), ("--quiet",)])
def test_add_examines_only_for_people_who_read_it(fake: FakeServer, cli: Cli, more: tuple[str, ...]) -> None:
    fake.routes |= {"POST /nodes": Reply(201, NODE), DOCTOR: REPORT}
    assert cli("node", "add", "gpu", "gpu.lan", "--accept-new", *more).status == 0
    assert not fake.asked(DOCTOR)
