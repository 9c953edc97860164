"""What the scripts say, and what is told from it."""

from datetime import UTC, datetime

import pytest

from vendetta.errors import InvalidInput, UnexpectedReply
from vendetta.models import InstanceSpec
from vendetta.providers.identity import spec_hash
from vendetta.providers.lxc.classic.belongings import parse_belongings
from vendetta.providers.lxc.classic.checkup import check_bridge, check_limits, check_storage, parse_found
from vendetta.providers.lxc.classic.images import parse_image_line
from vendetta.providers.lxc.classic.marks import build_mark, parse_shown, parse_snapshot
from vendetta.providers.lxc.classic.names import parse_image, parse_key
from vendetta.providers.lxc.classic.process import build_command
from vendetta.providers.lxc.classic.stats import parse_stats
from vendetta.providers.lxc.classic.streams import parse_event
from vendetta.transport import Terminal

SPEC = InstanceSpec(image="busybox", labels={"team": 'a "b" c'})
MARK = build_mark("web", SPEC, "us", "1234")


def test_a_mark_begins_with_the_owner_and_is_one_line() -> None:
    assert MARK.startswith('{"owner":"us",')
    assert "\n" not in MARK


@pytest.mark.parametrize(
    ("state", "started", "told"),
    [
        ("STOPPED", "no", "created"),
        ("STOPPED", "yes", "stopped"),
        ("ABORTING", "yes", "stopped"),
        ("RUNNING", "yes", "running"),
        ("FROZEN", "yes", "paused"),
    ],
)
def test_an_instance_from_its_line(state: str, started: str, told: str) -> None:
    instance, mark = parse_shown(f"{state} 10.0.3.7 {started} {MARK}\n")
    assert (instance.name, instance.id, instance.image, instance.state) == ("web", "1234", "busybox", told)
    assert (instance.address, instance.labels) == ("10.0.3.7", SPEC.labels)
    assert mark.spec == spec_hash(SPEC)


def test_no_address_is_none() -> None:
    assert parse_shown(f"RUNNING - yes {MARK}")[0].address is None


@pytest.mark.parametrize("line", ["", "RUNNING - yes", "RUNNING - yes {}", "RUNNING - yes nonsense"])
def test_what_is_no_instance_is_told(line: str) -> None:
    with pytest.raises(UnexpectedReply):
        parse_shown(line)


def test_a_snapshot_from_its_line() -> None:
    snapshot = parse_snapshot("first 1700000000 12")
    assert (snapshot.name, snapshot.size_bytes) == ("first", 12 * 1024)
    assert snapshot.created_at == datetime.fromtimestamp(1700000000, UTC)
    with pytest.raises(UnexpectedReply):
        parse_snapshot("first")


@pytest.mark.parametrize(
    ("image", "name", "template", "arguments"),
    [
        ("busybox", "busybox", "busybox", ()),
        ("tools", "tools", None, ()),
        ("local:busybox", "busybox", None, ()),
        ("127.0.0.1:1/no-such-image", "127.0.0.1:1/no-such-image", None, ()),
        ("download:debian/12", "download:debian/12", "download", ("--dist", "debian", "--release", "12")),
        (
            "download:a/b/amd64/cloud",
            "download:a/b/amd64/cloud",
            "download",
            ("--dist", "a", "--release", "b", "--arch", "amd64", "--variant", "cloud"),
        ),
        ("oci:docker://alpine:3", "oci:docker://alpine:3", "oci", ("--url", "docker://alpine:3")),
        ("oci:/srv/oci:alpine", "oci:/srv/oci:alpine", "oci", ("--url", "oci:/srv/oci:alpine")),
    ],
)
def test_names_of_images(image: str, name: str, template: str | None, arguments: tuple[str, ...]) -> None:
    source = parse_image(image)
    assert (source.name, source.template, source.arguments) == (name, template, arguments)
    assert "/" not in source.key
    assert parse_key(source.key) == name


@pytest.mark.parametrize("image", ["", "../x", "a b", "download:debian", "download:a//b", "local:", "a\nb", "x" * 201])
def test_what_is_no_name_is_refused(image: str) -> None:
    with pytest.raises(InvalidInput):
        parse_image(image)


def test_an_image_from_its_line() -> None:
    image = parse_image_line('oci:a%2Fb abc 12 {"owner":"us","made":"2026-01-02T03:04:05Z","description":"a.tar b"}')
    assert (image.name, image.id, image.size_bytes, image.description) == ("oci:a/b", "abc", 12 * 1024, "a.tar b")
    assert image.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(UnexpectedReply):
        parse_image_line("a b")


VERSION_1 = """\
memory.usage 3000
memory.limit 9223372036854771712
memory.inactive_file 5
memory.total_inactive_file 1000
pids 7
received 90
sent 80
received 10
sent 20
at 100.0
cpu.usage 1000000000
at 100.5
cpu.usage 1250000000
"""
VERSION_2 = """\
memory.usage 3000
memory.limit 4096
memory.inactive_file 1000
pids 7
received 90
sent 80
at 100.0
cpu.usage_usec 1000000
cpu.user_usec 1
at 100.0
cpu.usage_usec 1000000
cpu.user_usec 1
"""


def test_stats_of_cgroups_of_version_1() -> None:
    stats = parse_stats(VERSION_1)
    assert (stats.cpu_fraction, stats.cpu_seconds) == (0.5, 1.25)
    assert (stats.memory_bytes, stats.memory_limit_bytes, stats.pids) == (2000, None, 7)
    assert (stats.network_received_bytes, stats.network_sent_bytes) == (100, 100)


def test_stats_of_cgroups_of_version_2() -> None:
    stats = parse_stats(VERSION_2)
    assert (stats.cpu_fraction, stats.cpu_seconds, stats.memory_limit_bytes) == (0.0, 1.0, 4096)
    assert parse_stats(VERSION_2.replace("4096", "max")).memory_limit_bytes is None


@pytest.mark.parametrize("said", ["", "at 1", VERSION_2.replace("3000", "x")])
def test_stats_that_are_none(said: str) -> None:
    with pytest.raises(UnexpectedReply):
        parse_stats(said)


def test_belongings_from_their_lines() -> None:
    said = "instance vendetta-web\nsnapshot vendetta-web first 4\nimage oci:a%2Fb 8\n"
    instance, snapshot, image = parse_belongings(said)
    assert (instance.kind, instance.id, instance.workspace) == ("instance", "vendetta-web", "web")
    assert (snapshot.kind, snapshot.id, snapshot.name) == ("snapshot", "vendetta-web/first", "first")
    assert (snapshot.workspace, snapshot.size_bytes) == ("web", 4096)
    assert (image.kind, image.name, image.workspace, image.size_bytes) == ("image", "oci:a/b", None, 8192)


def test_an_event_from_its_line() -> None:
    event = parse_event(b"web RUNNING")
    assert (event.name, event.action) == ("web", "running")


WELL = """\
version 5.0.2
bridge lxcbr0
address 10.0.3.1/24
overlay yes
controllers cpu memory pids
path /l
free 9999999
"""


def test_a_node_that_is_well() -> None:
    found = parse_found(WELL)
    checks = [check_bridge(found), check_limits(found), check_storage(found)]
    assert [check.state for check in checks] == ["ok"] * 3
    assert not [check for check in checks if check.mend]


@pytest.mark.parametrize(
    ("instead", "by", "states"),
    [
        ("address 10.0.3.1/24\n", "", ["warning", "ok", "ok"]),
        ("address 10.0.3.1/24", "address ", ["warning", "ok", "ok"]),
        ("cpu memory", "cpu", ["ok", "warning", "ok"]),
        ("overlay yes\n", "", ["ok", "ok", "failure"]),
        ("9999999", "1000000", ["ok", "ok", "warning"]),
        ("9999999", "1000", ["ok", "ok", "failure"]),
        ("9999999", "", ["ok", "ok", "ok"]),
    ],
)
def test_what_is_the_matter_with_a_node(instead: str, by: str, states: list[str]) -> None:
    found = parse_found(WELL.replace(instead, by))
    assert [check.state for check in (check_bridge(found), check_limits(found), check_storage(found))] == states


def test_the_command_of_an_exec() -> None:
    assert build_command(["a", "b"], {"C": "d e"}, None, None, "word") == ["--set-var", "C=d e", "--", "a", "b"]
    in_folder = build_command(["a"], {}, "/work", None, "word")
    assert in_folder[:3] == ["--", "/bin/sh", "-c"]
    assert in_folder[-2:] == ["/work", "a"]
    on_terminal = build_command(["a"], {"TERM": "vt100"}, None, Terminal(), "word")
    assert on_terminal[:2] == ["--set-var", "TERM=vt100"]
    assert on_terminal[-2:] == ["word ready", "a"]
    assert build_command([], {}, None, None, "word")[-1].endswith("-l")
