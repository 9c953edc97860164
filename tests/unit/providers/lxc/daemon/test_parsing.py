"""From what the daemons say to our models. The words are those of Incus 6.0.4 and LXD 5.0.2."""

import json
from typing import Any

import pytest

from vendetta.errors import (
    Busy,
    EngineForbidden,
    EngineUnavailable,
    ImageNotFound,
    InvalidInput,
    NameTaken,
    OutOfResources,
    ProviderError,
    SnapshotNotFound,
    Unsupported,
    VendettaError,
    WrongState,
)
from vendetta.providers.lxc.daemon import checkup
from vendetta.providers.lxc.daemon.addresses import nics_of, parse_leases
from vendetta.providers.lxc.daemon.belongings import parse_snapshots, parse_volume
from vendetta.providers.lxc.daemon.dialects import DIALECTS
from vendetta.providers.lxc.daemon.engine import parse_reply
from vendetta.providers.lxc.daemon.errors import Refused, from_reply
from vendetta.providers.lxc.daemon.events import parse_event
from vendetta.providers.lxc.daemon.images import parse_image, parse_progress
from vendetta.providers.lxc.daemon.instances import parse_address, parse_instance
from vendetta.providers.lxc.daemon.logs import cut_tail, parse_fresh
from vendetta.providers.lxc.daemon.lookup import Found
from vendetta.providers.lxc.daemon.probe import name_version
from vendetta.providers.lxc.daemon.snapshots import parse_snapshot
from vendetta.providers.lxc.daemon.stats import parse_amount, parse_stats

CONFIG = {
    "user.vendetta.workspace": "web",
    "user.vendetta.owner": "us",
    "user.vendetta.image": "tools",
    "user.vendetta.label.team": "blue",
    "volatile.uuid": "abc",
}
LINK_LOCAL = {"family": "inet6", "address": "fe80::1", "scope": "link"}
INCUS = DIALECTS["incus"]


def network(*addresses: dict[str, str], kind: str = "broadcast") -> dict[str, Any]:
    return {
        "addresses": list(addresses),
        "counters": {"bytes_received": 10, "bytes_sent": 20},
        "type": kind,
    }


def said(code: int, *, used: str = "2026-11-25T03:48:41Z", **more: Any) -> dict[str, Any]:
    return {
        "name": "vendetta-web",
        "config": CONFIG,
        "expanded_devices": {},
        "status_code": code,
        "last_used_at": used,
        "created_at": "2026-11-25T03:48:41.059734569Z",
        **more,
    }


@pytest.mark.parametrize(
    ("code", "used", "state"),
    [
        (102, "1970-01-01T00:00:00Z", "created"),
        (102, "0001-01-01T00:00:00Z", "created"),
        (102, "2026-11-25T03:48:41Z", "stopped"),
        (103, "2026-11-25T03:48:41Z", "running"),
        (110, "2026-11-25T03:48:41Z", "paused"),
        (112, "2026-11-25T03:48:41Z", "failed"),
        (113, "2026-11-25T03:48:41Z", "running"),
        (999, "2026-11-25T03:48:41Z", "failed"),
    ],
)
def test_states(code: int, used: str, state: str) -> None:
    instance = parse_instance(said(code, used=used))
    assert instance.state == state
    assert (instance.reason is not None) == (state == "failed")


def test_an_instance() -> None:
    instance = parse_instance(said(103, state={"network": {"eth0": network({**LINK_LOCAL, "scope": "global"})}}))
    assert (instance.name, instance.id, instance.image) == ("web", "abc", "tools")
    assert (instance.labels, instance.address) == ({"team": "blue"}, "fe80::1")


def test_the_address_is_one_that_the_node_reaches() -> None:
    four = {"family": "inet", "address": "10.0.0.2", "scope": "global"}
    six = {"family": "inet6", "address": "fd00::2", "scope": "global"}
    loopback = network({"family": "inet", "address": "127.0.0.1", "scope": "global"}, kind="loopback")
    assert parse_address({"network": {"lo": loopback, "eth0": network(LINK_LOCAL, six, four)}}) == "10.0.0.2"
    assert parse_address({"network": {"lo": loopback, "eth0": network(LINK_LOCAL)}}) is None
    assert parse_address({"network": None}) is None
    assert parse_address(None) is None


def test_an_address_by_the_leases_of_the_network() -> None:
    nics = {
        "eth0": {"type": "nic", "network": "br0"},
        "eth1": {"type": "nic", "nictype": "bridged", "parent": "br1", "hwaddr": "02"},
        "root": {"type": "disk", "path": "/"},
        "eth2": {"type": "nic", "nictype": "physical", "parent": "eth9"},
    }
    found = Found(said(103, config={**CONFIG, "volatile.eth0.hwaddr": "01"}, expanded_devices=nics))
    assert nics_of(found) == [("br0", "01"), ("br1", "02")]
    leases = [{"hwaddr": "01", "address": "10.0.0.2"}, {"hwaddr": "01", "address": "fd00::2"}, {"address": "10.0.0.1"}]
    assert parse_leases(leases) == {"01": "10.0.0.2"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('Failed to create "instances" entry: UNIQUE constraint failed: instances.project_id', NameTaken),
        ('Add instance info to the database: This "instances" entry already exists', NameTaken),
        ("Image not provided for instance creation", ImageNotFound),
        ("Image alias not found", ImageNotFound),
        (
            'Failed getting remote image info: Failed getting image: Get "x": lookup y: connection refused',
            ImageNotFound,
        ),
        ('Instance is busy running a "stop" operation', Busy),
        ("The instance is already running", WrongState),
        ("write /x: no space left on device", OutOfResources),
        ('Requested profile "nope" doesn\'t exist', InvalidInput),
        ("Instance snapshot not found", SnapshotNotFound),
        ('Instance type "virtual-machine" is not supported on this server', Unsupported),
        ("something else", ProviderError),
    ],
)
def test_words_of_the_daemons(words: str, kind: type[VendettaError]) -> None:
    error = from_reply(Refused(400, words), "create web", "gpu", "Incus")
    assert type(error) is kind
    assert error.message == "can't create web on node gpu"
    assert error.hint


def test_what_is_gone_is_known_by_either_way_of_saying_so() -> None:
    assert Refused(404, "not found").is_absent
    assert Refused(400, "Instance not found").is_absent
    assert not Refused(400, "Instance snapshot not found").is_absent


def test_what_is_no_envelope_is_refused() -> None:
    assert parse_reply(b'{"type": "sync"}', 200) == {"type": "sync"}
    with pytest.raises(Refused) as caught:
        parse_reply(b"<html>", 502)
    assert caught.value.status == 502


def event(action: str, source: str) -> str:
    return json.dumps({"type": "lifecycle", "metadata": {"action": action, "source": source}})


def test_events_of_our_instances() -> None:
    started = parse_event(event("instance-started", "/1.0/instances/vendetta-web?project=other"))
    assert started is not None
    assert (started.name, started.action) == ("web", "started")
    assert parse_event(event("instance-started", "/1.0/instances/web")) is None
    assert parse_event(event("image-created", "/1.0/images/vendetta-web")) is None
    assert parse_event(event("instance-snapshot-created", "/1.0/instances/vendetta-web/snapshots/a")) is None


def test_progress_of_an_operation() -> None:
    text = json.dumps({"metadata": {"id": "7", "metadata": {"download_progress": "rootfs: 34% (12.30MB/s)"}}})
    progress = parse_progress(text, "7", "pulling a")
    assert progress is not None
    assert (progress.current, progress.total) == (34, 100)
    assert parse_progress(text, "8", "pulling a") is None
    assert parse_progress(json.dumps({"metadata": {"id": "7", "metadata": None}}), "7", "x") is None


def test_an_image() -> None:
    image = {
        "fingerprint": "76fbda77e5384e6f",
        "size": 5,
        "uploaded_at": "2026-11-25T04:17:08.5Z",
        "aliases": [{"name": "a"}, {"name": "b"}],
        "properties": {"description": "words"},
    }
    parsed = parse_image(image)
    assert (parsed.name, parsed.aliases, parsed.description) == ("a", ["b"], "words")
    assert parse_image(image, "b").aliases == ["a"]
    assert parse_image({**image, "aliases": None}).name == "76fbda77e538"


def test_stats_of_two_samples() -> None:
    def sample(cpu: int) -> dict[str, Any]:
        return {
            "cpu": {"usage": cpu},
            "memory": {"usage": 7},
            "processes": 3,
            "network": {"lo": network(kind="loopback"), "eth0": network()},
        }

    stats = parse_stats(sample(1_000_000_000), sample(1_050_000_000), 0.1, "128MiB")
    assert stats.cpu_fraction == pytest.approx(0.5)
    assert stats.memory_limit_bytes == 2**27
    assert (stats.pids, stats.network_received_bytes, stats.network_sent_bytes) == (3, 10, 20)


@pytest.mark.parametrize(
    ("text", "amount"), [("134217728B", 2**27), ("1GB", 10**9), ("5", 5), ("50%", None), (None, None), ("5XB", None)]
)
def test_amounts(text: str | None, amount: int | None) -> None:
    assert parse_amount(text) == amount


def test_the_end_of_a_log() -> None:
    assert cut_tail(b"a\nb\nc", 2) == b"b\nc"
    assert cut_tail(b"a\nb\n", 0) == b""
    assert cut_tail(b"a\nb\n", None) == b"a\nb\n"


def test_what_came_since() -> None:
    assert parse_fresh(b"one\n", b"one\ntwo\n") == b"two\n"
    assert parse_fresh(b"x" * 300 + b"end", b"x" * 260 + b"end" + b"new") == b"new"
    assert parse_fresh(b"gone", b"all new") == b"all new"


def test_a_snapshot() -> None:
    snapshot = parse_snapshot({"name": "vendetta-web/first", "created_at": "2026-11-25T04:00:00.1Z", "size": -1})
    assert (snapshot.name, snapshot.size_bytes, snapshot.created_at.hour) == ("first", None, 4)


def test_belongings_are_called_by_their_paths() -> None:
    found = Found(said(102, project="p", snapshots=[{"name": "first"}]))
    (snapshot,) = parse_snapshots(found)
    assert (snapshot.id, snapshot.workspace) == ("instances/vendetta-web/snapshots/first?project=p", "web")
    assert parse_volume({"name": "data"}, "fast").id == "storage-pools/fast/volumes/custom/data?project=default"


def test_the_version_begins_with_the_name() -> None:
    assert name_version({"environment": {"server": "lxd", "server_version": "5.0.2"}}) == "lxd 5.0.2"


@pytest.mark.parametrize(
    ("error", "state", "mend"),
    [
        (EngineUnavailable("x", found="absent"), "skipped", INCUS.install),
        (EngineUnavailable("x", found="silent"), "failure", INCUS.start),
        (EngineForbidden("x", group="incus-admin", user="me"), "failure", "sudo usermod -aG incus-admin me"),
        (ProviderError("x"), "failure", INCUS.start),
    ],
)
def test_refusals(error: VendettaError, state: str, mend: str) -> None:
    check = checkup.check_refusal(error, INCUS)
    assert (check.name, check.state, check.mend) == ("lxc", state, mend)


def test_a_daemon_without_a_pool_or_a_network_is_to_be_initialised() -> None:
    assert checkup.root_pool_of(None) is None
    assert checkup.check_storage(None, None, INCUS).mend == INCUS.initialise
    assert checkup.check_network({"devices": {}}, INCUS).mend == INCUS.initialise


@pytest.mark.parametrize(("free", "state"), [(10 * 2**30, "ok"), (2**30, "warning"), (2**20, "failure")])
def test_room_in_the_pool(free: int, state: str) -> None:
    pool, space = {"name": "default", "driver": "zfs"}, {"space": {"used": 2**40 - free, "total": 2**40}}
    assert checkup.check_storage(pool, space, INCUS).state == state
