"""What the node's scripts, qemu-img and the guest say."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from vendetta.errors import (
    EngineUnavailable,
    ImageNotFound,
    InstanceNotFound,
    InvalidInput,
    OutOfResources,
    ProviderError,
    UnexpectedReply,
    VendettaError,
    WrongState,
)
from vendetta.models import Progress
from vendetta.providers.qemu.belongings import parse_belongings
from vendetta.providers.qemu.disks import parse_size
from vendetta.providers.qemu.images import build_member, image_key, parse_images, parse_progress
from vendetta.providers.qemu.records import EMULATED, Record, build_instance
from vendetta.providers.qemu.scripts import explain, parse_found, parse_found_with_key
from vendetta.providers.qemu.snapshots import check_snapshot_name, parse_snapshots
from vendetta.providers.qemu.stats import parse_network, parse_stats
from vendetta.transport import CommandResult

RECORD = Record(name="web", id="0123456789ab", owner="us", spec="x", image="debian", memory_bytes=2**30, created_at=1.0)
LINE = msgspec.json.encode(RECORD)


def test_vms_are_three_lines_each() -> None:
    said = b"alive 4711 20022 tcg /home/a b/web\n\n" + LINE + b"\nkilled 0 0 - /x/db\nout of memory\n" + LINE + b"\n"
    first, second = parse_found(said)
    assert (first.state, first.pid, first.port, first.how) == ("alive", 4711, 20022, "tcg")
    assert first.folder == "/home/a b/web"
    assert (second.alive, second.words, second.record) == (False, "out of memory", RECORD)
    assert parse_found(b"") == []


def test_a_key_may_follow() -> None:
    found, key = parse_found_with_key(b"created 0 0 - /x\n\n" + LINE + b"\n-----BEGIN\nKEY\n")
    assert (found.state, key) == ("created", "-----BEGIN\nKEY\n")


@pytest.mark.parametrize("said", [b"nonsense\n\n{}\n", b"alive 1 x - /x\n\n" + LINE + b"\n", b"alive 1 1 - /x\n\n[]\n"])
def test_what_is_no_vm(said: bytes) -> None:
    with pytest.raises(UnexpectedReply):
        parse_found(said)


@pytest.mark.parametrize(
    ("stderr", "error"),
    [
        (b"absent web\n", InstanceNotFound),
        (b"missing qemu-img\n", EngineUnavailable),
        (b"image it is not on the node\n", ImageNotFound),
        (b"size 5\n", InvalidInput),
        (b"firmware none\n", InvalidInput),
        (b"content it refers to another file\n", InvalidInput),
        (b"running web\n", WrongState),
        (b"refused qemu: Cannot allocate memory\n", OutOfResources),
        (b"qemu-img: write: No space left on device\nrefused x\n", OutOfResources),
        (b"refused qemu: something\n", ProviderError),
    ],
)
def test_a_word_stands_for_an_error(stderr: bytes, error: type[VendettaError]) -> None:
    assert type(explain("start web", CommandResult(70, b"", stderr))) is error


def test_a_status_of_the_shell_is_told_with_what_it_said() -> None:
    error = explain("start web", CommandResult(2, b"", b"sh: syntax error\n"))
    assert "sh: syntax error" in error.message


@pytest.mark.parametrize(
    ("state", "status", "shown", "reason"),
    [
        ("created", None, "created", None),
        ("alive", "running", "running", None),
        ("alive", "paused", "paused", None),
        ("alive", None, "running", None),
        ("alive", "io-error", "failed", "disk"),
        ("alive", "guest-panicked", "failed", "kernel"),
        ("stopped", None, "stopped", None),
        ("killed", None, "failed", "killed"),
        ("rebooted", None, "stopped", "restarted"),
    ],
)
def test_states(state: str, status: str | None, shown: str, reason: str | None) -> None:
    instance = build_instance(RECORD, state, status=status)
    assert instance.state == shown
    assert instance.reason is None if reason is None else reason in str(instance.reason)


def test_emulation_is_told_unless_it_was_asked_for() -> None:
    assert build_instance(RECORD, "alive", status="running", how="tcg").reason == EMULATED
    asked = replace(RECORD, accel="tcg")
    assert build_instance(asked, "alive", status="running", how="tcg").reason is None
    assert build_instance(RECORD, "alive", status="running", how="kvm").reason is None


def test_what_qemu_said_last_is_told() -> None:
    assert "no such device" in str(build_instance(RECORD, "killed", words="no such device").reason)


# captured from qemu-img 7.2.22
INFO = b"""{"virtual-size": 100663296, "filename": "disk.qcow2", "format": "qcow2", "snapshots": [
{"vm-clock-nsec": 0, "name": "b", "date-sec": 1764041000, "date-nsec": 2, "vm-clock-sec": 0, "id": "2",
"vm-state-size": 0},
{"vm-clock-nsec": 0, "name": "a", "date-sec": 1764041000, "date-nsec": 1, "vm-clock-sec": 0, "id": "1",
"vm-state-size": 0}]}"""


def test_snapshots_come_with_the_oldest_first() -> None:
    snapshots = parse_snapshots(INFO)
    assert [snapshot.name for snapshot in snapshots] == ["a", "b"]
    assert snapshots[0].created_at.replace(microsecond=0) == datetime.fromtimestamp(1764041000, UTC)
    assert parse_snapshots(b'{"virtual-size": 1}') == []


def test_the_size_of_a_disk() -> None:
    assert parse_size(INFO) == 100663296
    for broken in (b"", b"{}", b'{"virtual-size": "x"}'):
        with pytest.raises(UnexpectedReply):
            parse_size(broken)
    with pytest.raises(UnexpectedReply):
        parse_snapshots(b"[]")


@pytest.mark.parametrize("name", ["", "-c", "a b", "a" * 129, "a\n"])
def test_what_is_no_name_of_a_snapshot(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_snapshot_name(name)


def sample(moment: float, user: int, system: int) -> str:
    numbers = ["S", *["0"] * 10, str(user), str(system), *["0"] * 4, "5", *["0"] * 3, "1000"]
    return " ".join([str(moment), *numbers])


def test_stats_are_what_two_looks_differ_by() -> None:
    said = "\n".join(["100 4096", sample(10.0, 100, 50), sample(10.5, 140, 60), ""]).encode()
    stats = parse_stats(said, 2**30, (7, 8))
    assert (stats.cpu_fraction, stats.cpu_seconds) == (1.0, 2.0)
    assert (stats.memory_bytes, stats.memory_limit_bytes, stats.pids) == (4096000, 2**30, 5)
    assert (stats.network_received_bytes, stats.network_sent_bytes) == (7, 8)


def test_stats_of_two_looks_at_once_divide_by_nothing() -> None:
    said = "\n".join(["100 4096", sample(10.0, 1, 1), sample(10.0, 1, 1)]).encode()
    assert parse_stats(said, 1, (0, 0)).cpu_fraction == 0.0
    with pytest.raises(UnexpectedReply):
        parse_stats(b"100 4096\n", 1, (0, 0))


def test_the_network_of_a_guest() -> None:
    titles = b"Inter-|   Receive  |  Transmit\n face |bytes    packets errs|bytes    packets errs\n"
    rest = b"10 0 0 0 0 0 0"
    said = titles + b"    lo: 999 " + rest + b" 999 " + rest + b"\n  eth0: 1234 " + rest + b" 5678 " + rest + b"\n"
    assert parse_network(said) == (1234, 5678)
    assert parse_network(b"sh: no cat") == (0, 0)


def test_images_are_two_lines_each() -> None:
    said = b'ab12 qcow2 77\n{"name":"debian","owner":"us","created_at":5.0}\n'
    ((image, kept),) = parse_images(said)
    assert (image.name, image.id, image.size_bytes, image.description) == ("debian", "sha256:ab12", 77, "qcow2")
    assert kept.owner == "us"
    assert parse_images(b"") == []
    with pytest.raises(UnexpectedReply):
        parse_images(b"ab12 qcow2\n")


def test_an_image_is_kept_under_a_name_that_is_no_path() -> None:
    assert image_key("https://x/../../y").isalnum()
    assert image_key("a") != image_key("b")


@pytest.mark.parametrize("chunk", [bytes(5000), b"x" * 5000, b"\0" * 10 + b"y"])
def test_members_of_a_gzip_file_are_the_chunk_again(chunk: bytes) -> None:
    assert gzip.decompress(build_member(chunk) + build_member(b"z")) == chunk + b"z"
    assert len(build_member(bytes(2**20))) < 8192


def test_progress_of_a_fetch() -> None:
    assert parse_progress(b"done 5 10", "x") == Progress(message="pull x", current=5, total=10)
    assert parse_progress(b"done 5 0", "x") == Progress(message="pull x", current=5, total=None)
    for line in (b"", b"done", b"ab12 raw 5", b"done x 5"):
        assert parse_progress(line, "x") is None


def test_belongings_are_two_lines_each() -> None:
    (one,) = parse_belongings(b"12\n" + LINE + b"\n")
    assert (one.kind, one.id, one.workspace, one.size_bytes) == ("instance", "0123456789ab", "web", 12288)
    with pytest.raises(UnexpectedReply):
        parse_belongings(b"x\n")
