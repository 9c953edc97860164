"""Which back end is taken of what a node has, and what no back end takes of a spec."""

from collections.abc import Mapping

import pytest
from tests.unit.fakes import FakeStream, FakeTransport

from vendetta.errors import EngineForbidden, EngineUnavailable, InvalidInput, VendettaError
from vendetta.models import InstanceSpec, Mount
from vendetta.providers.lxc.choice import FIND, LXC, SOCKETS, choose, parse_found
from vendetta.providers.lxc.classic import Classic
from vendetta.providers.lxc.daemon import Daemon
from vendetta.providers.lxc.options import check_spec

INCUS, LXD, SNAP = "/var/lib/incus/unix.socket", "/var/lib/lxd/unix.socket", "/var/snap/lxd/common/lxd/unix.socket"


def transport(found: str, sockets: Mapping[str, VendettaError | FakeStream] | None = None) -> FakeTransport:
    node = FakeTransport()
    node.on_run("sh", "-c", FIND, "find", *SOCKETS, stdout=found.encode())
    for path, stream in (sockets or {}).items():
        node.on_unix(path, stream)
    return node


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (f"{INCUS}\n", ([INCUS], False)),
        (f"classic\n{SNAP}\n{INCUS}\n", ([INCUS, SNAP], True)),
        (f"Welcome!\n{LXD}\nclassic\n", ([LXD], True)),
        ("classic\n", ([], True)),
        ("", ([], False)),
    ],
)
def test_incus_goes_before_lxd_and_lxd_before_the_commands(output: str, found: tuple[list[str], bool]) -> None:
    assert parse_found(output.encode()) == found


async def test_a_socket_with_nobody_behind_it_is_passed_over() -> None:
    node = transport(f"{INCUS}\n{LXD}\n", {INCUS: EngineUnavailable("silent"), LXD: FakeStream()})
    backend = await choose(node, "us")
    assert isinstance(backend, Daemon)
    assert backend.title == "LXD"


async def test_a_socket_that_is_closed_to_us_is_not() -> None:
    node = transport(f"{INCUS}\nclassic\n", {INCUS: EngineForbidden("denied")})
    assert isinstance(await choose(node, "us"), Daemon)


async def test_where_nobody_answers_the_first_says_so() -> None:
    node = transport(f"{INCUS}\n", {INCUS: EngineUnavailable("silent")})
    assert isinstance(await choose(node, "us"), Daemon)


async def test_the_commands_are_taken_where_there_is_no_daemon() -> None:
    assert isinstance(await choose(transport("classic\n"), "us"), Classic)


async def test_nothing_is_told_with_what_mends_it() -> None:
    with pytest.raises(EngineUnavailable) as caught:
        await choose(transport(""), "us")
    assert caught.value.hint
    assert caught.value.details["mend"] == "sudo apt-get install incus"


def test_a_node_has_the_powers_of_its_own_back_end() -> None:
    assert LXC.capabilities("incus 6.0.4") == LXC.capabilities("lxd 5.0.2") == LXC.capabilities()
    assert LXC.capabilities() - LXC.capabilities("lxc 5.0.2") == {"direct", "move", "resize"}


def test_what_a_power_needs_of_a_node_follows_from_the_classes() -> None:
    assert LXC.conditions() == {
        "direct": "Incus or LXD",
        "move": "Incus or LXD",
        "resize": "Incus or LXD, a storage pool that limits disks (btrfs, lvm, zfs)",
    }


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"command": ["true"]}, "command"),
        ({"options": {"nestin": "true"}}, "nesting"),
        ({"options": {"type": "machine"}}, "options.type"),
        ({"options": {"profiles": "a,,b"}}, "options.profiles"),
        ({"mounts": [Mount(source="../x", target="/x")]}, "mounts"),
        ({"mounts": [Mount(source="data", target="x")]}, "mounts"),
        ({"env": {"A=B": "1"}}, "env"),
    ],
)
def test_what_no_back_end_takes(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        check_spec(InstanceSpec(image="a", **fields))  # type: ignore[arg-type]
